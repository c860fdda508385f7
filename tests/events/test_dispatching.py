"""Dispatching events: once per event and subscriber, in one transaction with the effects."""

import pytest
from django.db.models import F
from django.db.models.functions import Now

from core.queue.queues import Batch
from core.queue.work import MAX_CRASHES
from events.dispatch import dispatch_due
from events.models import Event
from events.subscriptions import subscribers
from tests.database import captured_statements
from tests.events.event_samples import Recorder, number_of, published

# Rows become due by the statement's clock but are claimed by the transaction's clock.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def recorder(subscribe):
    """The only subscriber."""
    recorder = Recorder("good")
    subscribe(recorder.subscriber)
    return recorder


def test_a_batch_is_dispatched_once(workspace, recorder):
    published(workspace, 3)
    assert dispatch_due() == Batch(claimed=3, processed=3, failed=0)
    assert dispatch_due() == Batch(0)
    assert recorder.batches == [[0, 1, 2]]
    assert recorder.recorded == [0, 1, 2]
    assert not Event.objects.exclude(next_attempt_at=None).exists()
    assert not Event.objects.exclude(pending=[]).exists()


def test_webhooks_are_subscribed():
    assert "webhooks.fan_out" in {subscriber.name for subscriber in subscribers()}


def statements_of_a_dispatch():
    with captured_statements() as statements:
        dispatch_due()
    return [sql.split()[0] for sql in statements]


def test_the_number_of_statements_does_not_grow_with_the_batch(workspace, subscribe):
    first, second = Recorder("first"), Recorder("second")
    subscribe(first.subscriber, second.subscriber)
    published(workspace, 1)
    few = statements_of_a_dispatch()
    published(workspace, 200)
    assert statements_of_a_dispatch() == few
    assert [len(batch) for batch in second.batches] == [1, 200]
    # claim, begin, lock, settle, commit; for each subscriber a savepoint, its own statement, the
    # check of foreign keys (two) and the release
    assert len(few) == 5 + 2 * 5


def test_one_bad_event_of_a_batch_fails_alone(workspace, recorder, log_lines, make_due):
    events = published(workspace, 20)
    Event.objects.filter(pk=events[2].pk).update(request_id="the-bad-one")
    lines = log_lines("events.dispatch")
    recorder.broken = {2}
    assert dispatch_due() == Batch(claimed=20, processed=20, failed=1)
    assert recorder.recorded == [n for n in range(20) if n != 2]
    bad = Event.objects.exclude(next_attempt_at=None).get()
    assert number_of(bad) == 2
    assert bad.last_error == "good: ValueError('no \\x00 such thing')"
    assert bad.pending == ["good"]
    assert not Event.objects.due().exists()  # backing off
    assert [line.get("request_id") for line in lines] == [None, "the-bad-one"]

    recorder.broken = frozenset()
    make_due()
    dispatch_due()
    assert recorder.batches[-1] == [2]
    bad.refresh_from_db()
    assert (bad.next_attempt_at, bad.pending, bad.last_error) == (None, [], "")
    assert bad.failed_attempts == 0


def test_a_bad_event_backs_off_up_to_one_hour(workspace, recorder, make_due):
    published(workspace, 1)
    recorder.broken = {0}
    delays = []
    for _ in range(14):
        make_due()
        dispatch_due()
        event = Event.objects.annotate(wait=F("next_attempt_at") - Now()).get()
        delays.append(round(event.wait.total_seconds()))
    assert delays == sorted(delays)
    assert delays[0] == 2
    assert delays[-1] == 3600
    assert recorder.recorded == []


def test_a_poisoned_event_is_dead_lettered(workspace, recorder, make_due):
    [event] = published(workspace, 1)
    for _ in range(MAX_CRASHES):
        assert Event.objects.claim(limit=10) == [event]  # and the worker dies
        make_due()
    assert dispatch_due() == Batch(claimed=1, processed=1, failed=1)
    event.refresh_from_db()
    assert recorder.batches == []
    assert event.next_attempt_at is None
    assert event.pending == ["good"]
    assert "died" in event.last_error
    assert list(Event.objects.dead_lettered()) == [event]


def test_an_event_that_another_worker_reclaimed_is_not_dispatched(workspace, recorder, monkeypatch):
    published(workspace, 2)
    events = Event.objects.claim(limit=10)
    Event.objects.filter(pk=events[0].pk).update(claims=F("claims") + 1)
    with monkeypatch.context() as patch:
        patch.setattr(Event.objects, "claim", lambda limit: events)
        assert dispatch_due() == Batch(claimed=2, processed=1, failed=0)
    assert recorder.batches == [[number_of(events[1])]]


def test_an_event_that_another_worker_finished_is_not_dispatched(workspace, recorder, monkeypatch):
    published(workspace, 1)
    events = Event.objects.claim(limit=10)
    Event.objects.update(next_attempt_at=None)
    with monkeypatch.context() as patch:
        patch.setattr(Event.objects, "claim", lambda limit: events)
        assert dispatch_due() == Batch(claimed=1, processed=0, failed=0)
    assert recorder.batches == []
