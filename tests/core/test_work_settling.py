from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.queue.work import Settlement, work_models
from events.models import Event

pytestmark = pytest.mark.django_db


def test_a_settled_row_is_finished_and_its_crashes_reset(events):
    (row,) = events(1)
    (claimed,) = Event.objects.claim(limit=1)
    assert Event.objects.settle([Settlement(claimed)]) == {row.pk}
    row.refresh_from_db()
    assert (row.next_attempt_at, row.crashes, row.claims) == (None, 0, 1)


def test_a_row_can_be_deferred(events):
    events(1)
    (claimed,) = Event.objects.claim(limit=1)
    Event.objects.settle([Settlement(claimed, retry_in=timedelta(hours=1))])
    due = Event.objects.get().next_attempt_at - timezone.now()
    assert timedelta(minutes=59) < due <= timedelta(hours=1)


def test_many_rows_are_settled_in_one_statement(events, django_assert_num_queries):
    events(200)
    claimed = Event.objects.claim(limit=200)
    outcomes = [
        Settlement(row, retry_in=None if index % 2 else timedelta(0), changes={"last_error": "x"})
        for index, row in enumerate(claimed)
    ]
    with django_assert_num_queries(1):
        assert len(Event.objects.settle(outcomes)) == 200
    assert Event.objects.filter(last_error="x", next_attempt_at=None).count() == 100
    assert Event.objects.due().count() == 100


def test_a_worker_that_lost_its_lease_changes_nothing(events, make_due):
    (row,) = events(1)
    (slow,) = Event.objects.claim(limit=1)
    make_due([row])
    (quick,) = Event.objects.claim(limit=1)
    outcome = Settlement(slow, changes={"last_error": "slow"})
    assert Event.objects.settle([outcome]) == set()
    row.refresh_from_db()
    assert (row.last_error, row.claims, row.next_attempt_at is None) == ("", 2, False)
    assert Event.objects.settle([Settlement(quick)]) == {row.pk}


def test_a_finished_row_stays_finished(events):
    events(1)
    (claimed,) = Event.objects.claim(limit=1)
    Event.objects.settle([Settlement(claimed)])
    assert Event.objects.settle([Settlement(claimed, retry_in=timedelta(0))]) == set()
    assert Event.objects.due().count() == 0


def test_a_lost_row_does_not_prevent_settling_the_others(events, make_due):
    lost, _ = events(2)
    claimed = Event.objects.claim(limit=2)
    make_due([lost])
    Event.objects.claim(limit=1)
    settled = Event.objects.settle([Settlement(row) for row in claimed])
    assert settled == {row.pk for row in claimed} - {lost.pk}


def test_settling_nothing_runs_no_query(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert Event.objects.settle([]) == set()


def test_work_models_include_every_queue():
    assert {"emails", "events", "domains", "provider_events", "webhook_deliveries"} <= {
        model._meta.db_table for model in work_models()
    }


class Interleavings(RuleBasedStateMachine):
    """Workers that claim, crash, resume late and settle, in any order.

    The model: only the last claim of a row may settle it, and only once.
    """

    workspace = None

    @initialize(count=st.integers(1, 6))
    def fill(self, count):
        Event.objects.all().delete()
        Event.objects.bulk_create(
            [Event(workspace=self.workspace, type="webhook.test", body="{}") for _ in range(count)]
        )
        self.claimed = []  # (row, whether the claim is still valid)
        self.finished = set()

    @rule(limit=st.integers(1, 6))
    def claim(self, limit):
        claimed = Event.objects.claim(limit=limit)
        assert not {row.pk for row in claimed} & self.finished
        claimed_ids = {row.pk for row in claimed}
        assert len(claimed) == 1 or all(row.crashes <= 2 for row in claimed)
        self.claimed = [
            (row, is_valid and row.pk not in claimed_ids) for row, is_valid in self.claimed
        ]
        self.claimed += [(row, True) for row in claimed]

    @rule()
    def expire_leases(self):
        unfinished = Event.objects.exclude(next_attempt_at=None)
        unfinished.update(next_attempt_at=timezone.now() - timedelta(seconds=1))

    # Nothing drawn depends on the rows: those due at the same time are claimed in their physical
    # order, which may differ when an example is repeated.
    @rule(place=st.integers(0, 1000), again=st.booleans())
    def settle(self, place, again):
        if not self.claimed:
            return
        row, is_valid = self.claimed.pop(place % len(self.claimed))
        delay = timedelta(0) if again else None
        settled = Event.objects.settle([Settlement(row, retry_in=delay)])
        assert settled == ({row.pk} if is_valid else set())
        if is_valid and not again:
            self.finished.add(row.pk)
        if is_valid and again:
            # A row settled for retry can be settled again by its claim until another claims it.
            self.claimed.append((row, True))

    @invariant()
    def only_rows_settled_as_finished_are_finished(self):
        done = set(Event.objects.filter(next_attempt_at=None).values_list("pk", flat=True))
        assert done == getattr(self, "finished", done)


def test_in_any_interleaving_only_the_last_claim_settles_a_row(workspace):
    from hypothesis.stateful import run_state_machine_as_test

    Interleavings.workspace = workspace
    run_state_machine_as_test(
        Interleavings,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
