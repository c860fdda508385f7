from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.queue.work import Settlement, work_models
from events.models import Event

pytestmark = pytest.mark.django_db


def test_a_settled_row_is_finished_and_trusted_again(events):
    (row,) = events(1)
    (claimed,) = Event.objects.claim(limit=1)
    assert Event.objects.settle([Settlement(claimed)]) == {row.pk}
    row.refresh_from_db()
    assert (row.next_attempt_at, row.crashes, row.claims) == (None, 0, 1)


def test_a_row_can_be_put_off(events):
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


def test_those_still_held_are_settled_beside_one_that_is_lost(events, make_due):
    lost, _ = events(2)
    claimed = Event.objects.claim(limit=2)
    make_due([lost])
    Event.objects.claim(limit=1)
    settled = Event.objects.settle([Settlement(row) for row in claimed])
    assert settled == {row.pk for row in claimed} - {lost.pk}


def test_settling_nothing_asks_the_database_nothing(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert Event.objects.settle([]) == set()


def test_every_queue_is_known_to_health_checks():
    assert {"emails", "events", "domains", "provider_events", "webhook_deliveries"} <= {
        model._meta.db_table for model in work_models()
    }


class Interleavings(RuleBasedStateMachine):
    """Workers that claim, die, come back late and settle, in any order.

    The model: who may settle a row is who claimed it last, and only once.
    """

    workspace = None

    @initialize(count=st.integers(1, 6))
    def fill(self, count):
        Event.objects.all().delete()
        Event.objects.bulk_create(
            [Event(workspace=self.workspace, type="webhook.test", body="{}") for _ in range(count)]
        )
        self.held = []  # (row, whether its worker holds it still)
        self.finished = set()

    @rule(limit=st.integers(1, 6))
    def claim(self, limit):
        claimed = Event.objects.claim(limit=limit)
        assert not {row.pk for row in claimed} & self.finished
        taken = {row.pk for row in claimed}
        assert len(claimed) == 1 or all(row.crashes <= 2 for row in claimed)
        self.held = [(row, ours and row.pk not in taken) for row, ours in self.held]
        self.held += [(row, True) for row in claimed]

    @rule()
    def leases_end(self):
        unfinished = Event.objects.exclude(next_attempt_at=None)
        unfinished.update(next_attempt_at=timezone.now() - timedelta(seconds=1))

    @rule(data=st.data(), again=st.booleans())
    def settle(self, data, again):
        if not self.held:
            return
        chosen = data.draw(st.integers(0, len(self.held) - 1))
        row, ours = self.held.pop(chosen)
        delay = timedelta(0) if again else None
        settled = Event.objects.settle([Settlement(row, retry_in=delay)])
        assert settled == ({row.pk} if ours else set())
        if ours and not again:
            self.finished.add(row.pk)
        if ours and again:
            # Settled as "again" it may be settled once more by the same claim: nobody else has it.
            self.held.append((row, True))

    @invariant()
    def finished_rows_are_those_that_were_settled_so(self):
        done = set(Event.objects.filter(next_attempt_at=None).values_list("pk", flat=True))
        assert done == getattr(self, "finished", done)


def test_whatever_the_workers_do_each_row_is_settled_by_its_last_claimant(workspace):
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
