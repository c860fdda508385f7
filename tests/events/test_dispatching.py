"""Handing events over: heard once, in one transaction with what it led to."""

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

# What is due is so by the clock of the statement, and claimed by that of the transaction.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def heard(monkeypatch):
    """The batches that a subscriber heard; it may write `raise_for` a number to refuse it."""

    class Heard(list):
        raise_for = None

        def hear(self, events):
            numbers = [number_of(event) for event in events]
            Workspace.objects.filter(pk=events[0].workspace_id).update(name=f"heard {numbers}")
            if self.raise_for in numbers:
                raise ValueError("no \x00 such thing")
            self.append(numbers)

    subscriber = Heard()
    monkeypatch.setattr("events.dispatch.subscribers", [subscriber.hear])
    return subscriber


def published(workspace, count):
    with transaction.atomic():
        return publish([numbered(workspace, number) for number in range(count)])


def make_due():
    Event.objects.exclude(next_attempt_at=None).update(next_attempt_at=Now())


def test_a_batch_is_heard_once(workspace, heard):
    published(workspace, 3)
    assert dispatch_due() == 3
    assert dispatch_due() == 0
    assert [sorted(batch) for batch in heard] == [[0, 1, 2]]
    assert not Event.objects.exclude(next_attempt_at=None).exists()


def test_the_webhooks_hear_events():
    assert "webhooks.fanout" in {subscriber.__module__ for subscriber in subscribers}


@pytest.mark.parametrize("count", [1, 40])
def test_the_statements_do_not_grow_with_the_batch(
    workspace, heard, count, django_assert_max_num_queries
):
    published(workspace, count)
    # claim, begin, settle, the subscriber's own, commit
    with django_assert_max_num_queries(5):
        dispatch_due()
    assert sorted(heard[0]) == list(range(count))


def test_one_bad_event_does_not_stop_the_others(workspace, heard, log_lines):
    events = published(workspace, 4)
    Event.objects.filter(pk=events[2].pk).update(request_id="the-bad-one")
    lines = log_lines("events.dispatch")
    heard.raise_for = 2
    assert dispatch_due() == 4
    assert sorted(n for batch in heard for n in batch) == [0, 1, 3]
    bad = Event.objects.exclude(next_attempt_at=None).get()
    assert number_of(bad) == 2
    assert "no \\x00 such thing" in bad.last_error
    assert not Event.objects.due().exists()  # it waits a little
    assert [line.get("request_id") for line in lines] == [None, "the-bad-one"]

    heard.raise_for = None
    make_due()
    dispatch_due()
    assert heard[-1] == [2]


def test_what_a_failing_subscriber_wrote_is_undone(workspace, heard):
    published(workspace, 1)
    heard.raise_for = 0
    dispatch_due()
    workspace.refresh_from_db()
    assert workspace.name == "Alice's"


def test_a_bad_event_is_tried_again_ever_later_but_at_least_hourly(workspace, heard):
    published(workspace, 1)
    heard.raise_for = 0
    waits = []
    for _ in range(14):
        make_due()
        dispatch_due()
        event = Event.objects.annotate(wait=F("next_attempt_at") - Now()).get()
        waits.append(round(event.wait.total_seconds()))
    assert waits == sorted(waits)
    assert waits[0] < 5
    assert waits[-1] == 3600


def test_an_event_that_keeps_killing_its_worker_is_shelved(workspace, heard):
    [event] = published(workspace, 1)
    for _ in range(MAX_CRASHES):
        assert Event.objects.claim(limit=10) == [event]  # and the worker died
        make_due()
    dispatch_due()
    event.refresh_from_db()
    assert heard == []
    assert event.next_attempt_at is None
    assert "died" in event.last_error


def test_an_event_that_another_worker_claimed_since_is_not_heard(workspace, heard, monkeypatch):
    published(workspace, 2)
    events = Event.objects.claim(limit=10)
    Event.objects.filter(pk=events[0].pk).update(claims=F("claims") + 1)
    with monkeypatch.context() as patch:
        patch.setattr(Event.objects, "claim", lambda limit: events)
        dispatch_due()
    assert heard == [[number_of(events[1])]]
