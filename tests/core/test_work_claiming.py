from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from psycopg import sql

from accounts.services import create_workspace
from core.queue.work import MAX_CRASHES
from emails.models import Email
from events.models import Event
from tests.database import explain, run_at_once

pytestmark = pytest.mark.django_db

# The condition under which emails are claimed: the leading columns of the index are fixed.
WAITING = sql.SQL(
    "status IN ('queued', 'scheduled') AND provider = 'ses' AND region = '' AND is_batch = false"
)


def claim_fairly(limit, per_key=None):
    return Email.objects.claim_fairly(
        limit=limit,
        key="workspace_id",
        per_key=sql.Literal(per_key or limit),
        where=WAITING,
        sets=sql.SQL("status = 'sending'"),
    )


def test_the_oldest_due_rows_are_claimed_first(events):
    first, second, third = events(3)
    assert {row.pk for row in Event.objects.claim(limit=2)} == {first.pk, second.pk}
    assert [row.pk for row in Event.objects.claim(limit=2)] == [third.pk]


def test_a_claimed_row_is_not_due_until_its_lease_ends(events, make_due):
    (row,) = events(1)
    assert Event.objects.claim(limit=1)
    assert Event.objects.claim(limit=1) == []
    make_due([row])
    (again,) = Event.objects.claim(limit=1)
    assert (again.claims, again.crashes) == (2, 2)


def test_neither_future_nor_finished_rows_are_claimed(events):
    future, finished, _ = events(3)
    Event.objects.filter(pk=future.pk).update(next_attempt_at="2100-01-01T00:00Z")
    Event.objects.filter(pk=finished.pk).update(next_attempt_at=None)
    assert len(Event.objects.claim(limit=10)) == 1
    assert Event.objects.due().count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_second_worker_skips_rows_that_the_first_is_claiming(events):
    events(4)
    with transaction.atomic():
        ours = Event.objects.claim(limit=2)
        (theirs,) = run_at_once(lambda: Event.objects.claim(limit=4))
    assert len(ours) == len(theirs) == 2
    assert {row.pk for row in ours}.isdisjoint(row.pk for row in theirs)


@pytest.mark.django_db(transaction=True)
def test_a_second_worker_skips_locked_rows_when_claiming_fairly(workspace, emails_due):
    emails_due(workspace, 4)
    with transaction.atomic():
        ours = claim_fairly(2)
        (theirs,) = run_at_once(lambda: claim_fairly(4))
    assert len(ours) == len(theirs) == 2
    assert {row.pk for row in ours}.isdisjoint(row.pk for row in theirs)


def test_a_row_whose_worker_crashed_twice_is_claimed_alone(events, make_due):
    rows = events(3)
    for _ in range(2):
        assert len(Event.objects.claim(limit=3)) == 3
        make_due(rows)
    claims = [Event.objects.claim(limit=3) for _ in range(4)]
    assert [len(claim) for claim in claims] == [1, 1, 1, 0]


def test_rows_without_crashes_are_claimed_before_suspect_ones(events):
    suspect, _, _ = events(3)
    Event.objects.filter(pk=suspect.pk).update(crashes=2)
    assert suspect.pk not in {row.pk for row in Event.objects.claim(limit=3)}
    assert [row.pk for row in Event.objects.claim(limit=3)] == [suspect.pk]


def test_a_suspect_row_is_claimed_although_the_queue_never_drains(events, make_due):
    suspect, *_ = events(5)
    Event.objects.filter(pk=suspect.pk).update(crashes=2)
    make_due([suspect], ago=timedelta(minutes=2))
    assert [row.pk for row in Event.objects.claim(limit=3)] == [suspect.pk]
    assert len(Event.objects.claim(limit=3)) == 3


def test_a_row_that_crashes_every_worker_is_poisoned_beyond_max_crashes(events, make_due):
    (row,) = events(1)
    for _ in range(MAX_CRASHES):
        (claimed,) = Event.objects.claim(limit=5)
        assert not claimed.is_poisoned
        make_due([row])
    (claimed,) = Event.objects.claim(limit=5)
    assert claimed.is_poisoned


def test_ten_thousand_emails_of_one_workspace_do_not_delay_another(workspace, emails_due):
    emails_due(workspace, 10_000, ago="1 hour")
    small = create_workspace(name="Small")
    emails_due(small, 1)
    claimed = claim_fairly(10)
    assert [email.workspace_id for email in claimed].count(small.pk) == 1
    assert len(claimed) == 10


def test_a_key_gets_no_more_rows_than_its_limit(workspace, emails_due):
    emails_due(workspace, 10)
    assert len(claim_fairly(10, per_key=3)) == 3


def test_a_negative_limit_per_key_claims_nothing(workspace, emails_due):
    emails_due(workspace, 2)
    assert claim_fairly(10, per_key=-1) == []


def test_the_cost_of_fair_claiming_does_not_grow_with_the_backlog_of_a_key(
    workspace, emails_due, django_assert_num_queries
):
    emails_due(workspace, 20_000)
    emails_due(create_workspace(name="Small"), 5)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE emails")
    with django_assert_num_queries(1) as captured:
        claim_fairly(10)
    plan = explain(_statement(captured))
    assert "emails_due" in plan
    assert "Seq Scan on emails" not in plan
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = on")
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + _statement(captured))
        (plans,) = cursor.fetchone()
    assert plans[0]["Plan"]["Shared Hit Blocks"] < 1500  # the table alone is larger


def test_claiming_uses_the_partial_index_and_skips_finished_rows(
    events, workspace, django_assert_num_queries
):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (id, workspace_id, type, body, request_id, last_error, created_at,"
            " claims, crashes, next_attempt_at) SELECT gen_random_uuid(), %s, 'x', '{}',"
            " '', '', now(), 1, 0, null FROM generate_series(1, 20000)",
            [workspace.pk],
        )
        cursor.execute("ANALYZE events")
    events(3)
    with django_assert_num_queries(1) as captured:
        assert len(Event.objects.claim(limit=500)) == 3
    plan = explain(_statement(captured))
    assert "events_due" in plan
    assert "Seq Scan on events" not in plan


def test_a_claim_can_set_more_columns(events):
    events(1)
    (row,) = Event.objects.claim(limit=1, sets=sql.SQL("last_error = 'claimed'"))
    assert row.last_error == "claimed"
    assert Event.objects.filter(last_error="claimed", claims=F("crashes")).count() == 1


def _statement(captured):
    (query,) = captured.captured_queries
    return query["sql"]
