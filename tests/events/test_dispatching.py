"""Dispatching events: once per event, in one transaction with the subscribers' effects."""

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from event_samples import number_of, numbered

from accounts.models import Workspace
from core.queue.work import MAX_CRASHES
from events.dispatch import dispatch_due
from events.models import Event
from events.services import publish
from events.subscriptions import subscribers

# Rows become due by the statement's clock but are claimed by the transaction's clock.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def received(monkeypatch):
    """The batches that a subscriber received. It raises for the event number `raise_for`."""

    class Received(list):
        raise_for = None

        def receive(self, events):
            numbers = [number_of(event) for event in events]
            Workspace.objects.filter(pk=events[0].workspace_id).update(name=f"received {numbers}")
            if self.raise_for in numbers:
                raise ValueError("no \x00 such thing")
            self.append(numbers)

    subscriber = Received()
    monkeypatch.setattr("events.dispatch.subscribers", [subscriber.receive])
    return subscriber


def published(workspace, count):
    with transaction.atomic():
        return publish([numbered(workspace, number) for number in range(count)])


def make_due():
    Event.objects.exclude(next_attempt_at=None).update(next_attempt_at=Now())


def test_a_batch_is_dispatched_once(workspace, received):
    published(workspace, 3)
    assert dispatch_due() == 3
    assert dispatch_due() == 0
    assert [sorted(batch) for batch in received] == [[0, 1, 2]]
    assert not Event.objects.exclude(next_attempt_at=None).exists()


def test_webhooks_are_subscribed():
    assert "webhooks.fanout" in {subscriber.__module__ for subscriber in subscribers}


@pytest.mark.parametrize("count", [1, 40])
def test_the_number_of_statements_does_not_grow_with_the_batch(
    workspace, received, count, django_assert_max_num_queries
):
    published(workspace, count)
    # claim, begin, settle, the subscriber's own, commit
    with django_assert_max_num_queries(5):
        dispatch_due()
    assert sorted(received[0]) == list(range(count))


def test_one_bad_event_does_not_block_the_others(workspace, received, log_lines):
    events = published(workspace, 4)
    Event.objects.filter(pk=events[2].pk).update(request_id="the-bad-one")
    lines = log_lines("events.dispatch")
    received.raise_for = 2
    assert dispatch_due() == 4
    assert sorted(n for batch in received for n in batch) == [0, 1, 3]
    bad = Event.objects.exclude(next_attempt_at=None).get()
    assert number_of(bad) == 2
    assert "no \\x00 such thing" in bad.last_error
    assert not Event.objects.due().exists()  # backing off
    assert [line.get("request_id") for line in lines] == [None, "the-bad-one"]

    received.raise_for = None
    make_due()
    dispatch_due()
    assert received[-1] == [2]


def test_writes_of_a_failing_subscriber_are_rolled_back(workspace, received):
    published(workspace, 1)
    received.raise_for = 0
    dispatch_due()
    workspace.refresh_from_db()
    assert workspace.name == "Alice's"


def test_a_bad_event_backs_off_up_to_one_hour(workspace, received):
    published(workspace, 1)
    received.raise_for = 0
    delays = []
    for _ in range(14):
        make_due()
        dispatch_due()
        event = Event.objects.annotate(wait=F("next_attempt_at") - Now()).get()
        delays.append(round(event.wait.total_seconds()))
    assert delays == sorted(delays)
    assert delays[0] < 5
    assert delays[-1] == 3600


def test_a_poisoned_event_is_dead_lettered(workspace, received):
    [event] = published(workspace, 1)
    for _ in range(MAX_CRASHES):
        assert Event.objects.claim(limit=10) == [event]  # and the worker dies
        make_due()
    dispatch_due()
    event.refresh_from_db()
    assert received == []
    assert event.next_attempt_at is None
    assert "died" in event.last_error


def test_an_event_that_another_worker_reclaimed_is_not_dispatched(workspace, received, monkeypatch):
    published(workspace, 2)
    events = Event.objects.claim(limit=10)
    Event.objects.filter(pk=events[0].pk).update(claims=F("claims") + 1)
    with monkeypatch.context() as patch:
        patch.setattr(Event.objects, "claim", lambda limit: events)
        dispatch_due()
    assert received == [[number_of(events[1])]]
