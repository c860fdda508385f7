import threading
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from core.queue import retention, wake
from core.queue.worker_loop import stopping
from events.models import Event
from events.tasks import purge_old_events

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


@pytest.fixture
def told(monkeypatch):
    """The tasks that were hinted at."""
    hints = []
    monkeypatch.setattr(wake, "hint", hints.append)
    return hints


def test_only_what_is_older_is_deleted(events):
    aged(events, 3, days=10)
    (young,) = aged(events, 1, days=5)
    assert purge() == 3
    assert Event.objects.get().pk == young.pk


def test_it_goes_on_in_batches_until_nothing_old_is_left(
    events, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(retention, "BATCH", 2)
    for days in range(10, 15):
        aged(events, 1, days)
    with django_assert_num_queries(12):  # a savepoint, the deletion and its release: four times
        assert purge() == 5
    assert not Event.objects.exists()


def test_rows_of_one_age_go_in_several_batches(events, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    aged(events, 5, days=10)
    Event.objects.update(created_at="2020-01-01T00:00Z")
    assert purge() == 5


def test_after_a_slice_others_have_their_turn(events, monkeypatch, told):
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "SLICE_SECONDS", 0)
    aged(events, 3, days=10)
    assert (purge(), told) == (2, ["a.task"])
    assert (purge(), told) == (1, ["a.task"] * 2)
    assert (purge(), told) == (0, ["a.task"] * 2)


def test_a_worker_that_is_told_to_stop_deletes_no_more(events):
    aged(events, 1, days=10)
    stopping.set()
    try:
        assert purge() == 0
    finally:
        stopping.clear()
    assert purge() == 1


def test_an_event_that_nobody_has_heard_of_is_kept_however_old(events):
    (unheard,) = aged(events, 1, days=1000)
    aged(events, 1, days=1000)
    Event.objects.filter(pk=unheard.pk).update(next_attempt_at=timezone.now())
    assert purge_old_events() == 1
    assert Event.objects.get().pk == unheard.pk


def test_what_is_kept_is_looked_at_once_a_slice(events, monkeypatch):
    """However many old rows must stay, the batches after them begin behind them."""
    monkeypatch.setattr(retention, "BATCH", 1)
    kept = aged(events, 1, days=30)
    aged(events, 2, days=20)
    Event.objects.filter(pk=kept[0].pk).update(next_attempt_at=timezone.now())
    begun = []

    class Watched(retention._Sweep):
        def delete_some(self):
            begun.append(self.reached)
            return super().delete_some()

    monkeypatch.setattr(retention, "_Sweep", Watched)
    assert purge(Event.objects.filter(next_attempt_at=None)) == 2
    assert begun[0] is None
    assert {timezone.now() - each > timedelta(days=25) for each in begun[1:]} == {False}


@pytest.fixture
def other():
    """A second connection to the database of this test, for which the first waits for a moment
    only."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'")
    settings = {
        name: value
        for name, value in connection.get_connection_params().items()
        if name not in ("cursor_factory", "context", "prepare_threshold")
    }
    with psycopg.connect(**settings) as other:
        yield other
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


def end(other):
    """Hang up, and wait until the server has noticed and released what it held."""
    pid = other.info.backend_pid
    other.close()
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid])
            if cursor.fetchone() == (0,):
                return


@pytest.mark.django_db(transaction=True)
def test_rows_that_another_cleaner_holds_are_passed_over(events, other):
    held = aged(events, 2, days=20)
    aged(events, 3, days=10)
    other.execute("DELETE FROM events WHERE id = ANY(%s)", [[row.pk for row in held]])
    assert purge() == 3  # without waiting
    other.commit()
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_a_killed_cleaner_had_begun_is_done_by_the_next(events, other):
    held = aged(events, 2, days=20)
    other.execute("DELETE FROM events WHERE id = ANY(%s)", [[row.pk for row in held]])
    assert purge() == 0
    end(other)
    assert purge() == 2


@pytest.mark.django_db(transaction=True)
def test_two_cleaners_delete_each_row_once_between_them(events, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 10)
    aged(events, 300, days=10)
    deleted, ready = [], threading.Barrier(2)

    def clean():
        ready.wait()
        deleted.append(purge())
        connection.close()

    cleaners = [threading.Thread(target=clean) for _ in range(2)]
    for cleaner in cleaners:
        cleaner.start()
    for cleaner in cleaners:
        cleaner.join(20)
    with transaction.atomic():
        assert sum(deleted) == 300
        assert not Event.objects.exists()
