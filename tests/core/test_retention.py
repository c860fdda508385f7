from datetime import timedelta

import pytest
from django.utils import timezone

from core.queue import retention
from core.queue.worker_loop import stopping
from events.models import Event
from events.tasks import purge_old_events
from tests.database import another_connection, disconnect, lock_timeout, run_at_once

pytestmark = pytest.mark.django_db

WEEK = timedelta(days=7)


def aged(events, count, days):
    rows = events(count)
    Event.objects.filter(pk__in=[row.pk for row in rows]).update(
        created_at=timezone.now() - timedelta(days=days), next_attempt_at=None
    )
    return rows


def purge(rows=None, older_than=WEEK):
    rows = Event.objects.all() if rows is None else rows
    return retention.purge(rows, column="created_at", older_than=older_than, task="a.task")


def test_only_older_rows_are_deleted(events):
    aged(events, 3, days=10)
    (young,) = aged(events, 1, days=5)
    assert purge() == 3
    assert Event.objects.get().pk == young.pk


def test_batches_are_deleted_until_no_old_row_remains(
    events, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(retention, "BATCH", 2)
    for days in range(10, 15):
        aged(events, 1, days)
    with django_assert_num_queries(12):  # a savepoint, the deletion and its release: four times
        assert purge() == 5
    assert not Event.objects.exists()


def test_rows_of_the_same_age_are_deleted_in_several_batches(events, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    aged(events, 5, days=10)
    Event.objects.update(created_at="2020-01-01T00:00Z")
    assert purge() == 5


def test_a_purge_stops_after_its_slice_and_hints_at_itself(events, monkeypatch, hinted):
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "SLICE_SECONDS", 0)
    aged(events, 3, days=10)
    assert (purge(), hinted) == (2, ["a.task"])
    assert (purge(), hinted) == (1, ["a.task"] * 2)
    assert (purge(), hinted) == (0, ["a.task"] * 2)


def test_a_stopping_worker_deletes_nothing(events):
    aged(events, 1, days=10)
    stopping.set()
    try:
        assert purge() == 0
    finally:
        stopping.clear()
    assert purge() == 1


def test_an_undispatched_event_is_never_purged(events):
    (undispatched,) = aged(events, 1, days=1000)
    aged(events, 1, days=1000)
    Event.objects.filter(pk=undispatched.pk).update(next_attempt_at=timezone.now())
    assert purge_old_events() == 1
    assert Event.objects.get().pk == undispatched.pk


def test_exempt_rows_are_scanned_once_per_slice(events, monkeypatch):
    """Later batches start behind the old rows that must be kept."""
    monkeypatch.setattr(retention, "BATCH", 1)
    kept = aged(events, 1, days=30)
    aged(events, 2, days=20)
    Event.objects.filter(pk=kept[0].pk).update(next_attempt_at=timezone.now())
    starts = []

    class RecordedPurge(retention._Purge):
        def delete_batch(self):
            starts.append(self.reached)
            return super().delete_batch()

    monkeypatch.setattr(retention, "_Purge", RecordedPurge)
    assert purge(Event.objects.filter(next_attempt_at=None)) == 2
    assert starts[0] is None
    assert {timezone.now() - each > timedelta(days=25) for each in starts[1:]} == {False}


@pytest.fixture
def other():
    """A second connection to the test database; the first one waits only 2 s for its locks."""
    with lock_timeout("2s"), another_connection() as other:
        yield other


@pytest.mark.django_db(transaction=True)
def test_rows_locked_by_another_purge_are_skipped(events, other):
    locked = aged(events, 2, days=20)
    aged(events, 3, days=10)
    other.execute("DELETE FROM events WHERE id = ANY(%s)", [[row.pk for row in locked]])
    assert purge() == 3  # without waiting
    other.commit()
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_next_purge_finishes_the_work_of_a_killed_one(events, other):
    locked = aged(events, 2, days=20)
    other.execute("DELETE FROM events WHERE id = ANY(%s)", [[row.pk for row in locked]])
    assert purge() == 0
    disconnect(other)
    assert purge() == 2


@pytest.mark.django_db(transaction=True)
def test_two_concurrent_purges_delete_each_row_once(events, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 10)
    aged(events, 300, days=10)
    assert sum(run_at_once(purge, purge)) == 300
    assert not Event.objects.exists()
