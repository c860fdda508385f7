"""Every subscriber has its own fate: failures, crashes and outages of one disturb no other."""

import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F
from django.urls import reverse

from accounts.models import ApiKey
from core.db.ids import uuid7
from core.queue.queues import Batch
from core.queue.work import LEASE
from events import subscriptions
from events.dispatch import MAX_ATTEMPTS, dispatch_due
from events.hooks import dead_lettered_events, overdue_events
from events.models import Event
from events.services import dispatch_again, publish
from events.subscriptions import Subscriber
from tests.events.event_samples import Recorder, fact, number_of, numbered, published

# Rows become due by the statement's clock but are claimed by the transaction's clock.
pytestmark = pytest.mark.django_db(transaction=True)

CHANGELIST = "admin:events_event_changelist"


@pytest.fixture
def broken(subscribe):
    """Fails for event 0 until told otherwise; before and after it work two others."""
    before, broken, after = Recorder("before"), Recorder("broken"), Recorder("after")
    subscribe(before.subscriber, broken.subscriber, after.subscriber)
    broken.broken = {0}
    broken.others = [before, after]
    return broken


def outage(events):
    raise OperationalError("the server closed the connection")


def test_a_broken_subscriber_leaves_the_others_undisturbed(workspace, broken, make_due):
    [event] = published(workspace, 1)
    for _ in range(3):
        assert dispatch_due() == Batch(claimed=1, processed=1, failed=1)
        make_due()
    for other in broken.others:
        assert other.batches == [[0]]
        assert other.recorded == [0]
    assert broken.recorded == []
    event.refresh_from_db()
    assert (event.pending, event.failed_attempts) == (["broken"], 3)
    assert event.last_error.startswith("broken: ValueError(")

    broken.broken = frozenset()
    dispatch_due()
    event.refresh_from_db()
    assert (event.pending, event.next_attempt_at, event.last_error) == ([], None, "")
    assert broken.recorded == [0]
    assert [other.batches for other in broken.others] == [[[0]], [[0]]]


def test_a_failing_subscriber_is_dead_lettered_and_dispatched_again(
    workspace, broken, make_due, operator
):
    published(workspace, 2)
    for _ in range(MAX_ATTEMPTS):
        make_due()
        dispatch_due()
    bad, fine = sorted(Event.objects.all(), key=number_of)
    assert (fine.next_attempt_at, fine.pending) == (None, [])
    assert (bad.next_attempt_at, bad.pending) == (None, ["broken"])
    assert bad.failed_attempts == MAX_ATTEMPTS
    assert "no \\x00 such thing" in bad.last_error
    assert list(Event.objects.dead_lettered()) == [bad]

    shown = operator.get(reverse(CHANGELIST), {"work": "dead-lettered"})
    assert list(shown.context["cl"].result_list) == [bad]
    alert = dead_lettered_events()
    assert (alert.count, alert.url) == (1, reverse(CHANGELIST) + "?work=dead-lettered")
    page = operator.get(reverse("admin:events_event_change", args=[bad.pk])).content.decode()
    assert "broken: ValueError" in page

    broken.broken = frozenset()
    form = {"action": "dispatch_again", "index": "0", "_selected_action": [bad.pk]}
    form["confirmed"] = "yes"
    operator.post(reverse(CHANGELIST), form)
    bad.refresh_from_db()
    assert (bad.pending, bad.failed_attempts, bad.last_error) == (["broken"], 0, "")
    dispatch_due()
    assert broken.recorded == [0, 1]
    assert [other.recorded for other in broken.others] == [[0, 1], [0, 1]]
    assert not Event.objects.dead_lettered().exists()
    assert dead_lettered_events().count == 0


def test_a_dead_lettered_event_gets_all_attempts_again(workspace, broken, make_due):
    [event] = published(workspace, 1)
    for _ in range(MAX_ATTEMPTS):
        make_due()
        dispatch_due()
    assert dispatch_again([event]) == 1
    dispatch_due()
    event.refresh_from_db()
    assert event.next_attempt_at is not None
    assert event.failed_attempts == 1


def test_finished_events_are_dispatched_again_to_all(workspace, broken):
    broken.broken = frozenset()
    events = published(workspace, 2)
    dispatch_due()
    assert dispatch_again(events) == 2
    assert dispatch_again(events) == 0  # they are due already
    dispatch_due()
    for subscriber in [broken, *broken.others]:
        assert subscriber.batches == [[0, 1], [0, 1]]


def test_events_of_other_types_are_not_handed_over(workspace, subscribe):
    everything, domains = Recorder("everything"), Recorder("domains", frozenset({"domain.created"}))
    subscribe(everything.subscriber, domains.subscriber)
    [event] = published(workspace, 1)
    assert event.pending == ["everything"]
    dispatch_due()
    assert domains.batches == []


@pytest.mark.parametrize("count", [1, 20], ids=["INSERT", "COPY"])
def test_an_event_that_nobody_wants_is_recorded_as_finished(workspace, subscribe, count):
    contacts = Recorder("contacts", frozenset({"contact.created"}))
    subscribe(contacts.subscriber)
    unwanted = [fact(workspace, "inbox.suspended") for _ in range(2)]
    wanted = [numbered(workspace, number) for number in range(count)]
    with transaction.atomic():
        publish([unwanted[0], *wanted, unwanted[1]])
    finished = Event.objects.filter(type="inbox.suspended")
    assert list(finished.values_list("next_attempt_at", "pending")) == [(None, [])] * 2
    assert dispatch_due() == Batch(claimed=count, processed=count, failed=0)
    assert contacts.recorded == list(range(count))


def test_subscribers_that_were_removed_are_dropped(workspace, broken):
    [event] = published(workspace, 1)
    Event.objects.update(pending=["removed", "after"])
    assert dispatch_due() == Batch(claimed=1, processed=1, failed=0)
    event.refresh_from_db()
    assert (event.pending, event.next_attempt_at) == ([], None)
    assert broken.batches == []


def test_effects_and_settlement_commit_together(workspace, broken, monkeypatch, make_due):
    """A worker that dies between claim and commit changes nothing but the lease."""
    [event] = published(workspace, 1)
    settle = type(Event.objects.all()).settle

    class Crash(BaseException):
        pass

    def die(rows, outcomes):
        settle(rows, outcomes)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(type(Event.objects.all()), "settle", die)
        with pytest.raises(Crash):
            dispatch_due()
    assert [other.recorded for other in broken.others] == [[], []]
    event.refresh_from_db()
    assert (event.pending, event.failed_attempts) == (["before", "broken", "after"], 0)
    assert not Event.objects.due().exists()  # leased

    make_due()
    broken.broken = frozenset()
    dispatch_due()
    assert [other.recorded for other in broken.others] == [[0], [0]]


def test_a_database_outage_is_no_fault_of_the_event(workspace, subscribe, make_due):
    good = Recorder("good")
    subscribe(good.subscriber, Subscriber("unlucky", outage))
    events = published(workspace, 3)
    with pytest.raises(OperationalError):
        dispatch_due()
    leases = Event.objects.values_list("next_attempt_at", flat=True)
    assert good.recorded == []
    for event, due_at in zip(events, leases, strict=True):
        event.refresh_from_db()
        assert (event.pending, event.failed_attempts) == (["good", "unlucky"], 0)
        assert event.last_error == ""
        assert timedelta() < due_at - event.created_at < LEASE + timedelta(seconds=10)

    subscribe(good.subscriber)
    make_due()
    dispatch_due()
    assert good.recorded == [0, 1, 2]


def test_a_violated_foreign_key_fails_its_subscriber_only(workspace, subscribe):
    """PostgreSQL checks deferred constraints at the commit, which all subscribers share."""

    def refer_to_nothing(events):
        ApiKey.objects.create(
            workspace_id=uuid7(),
            name="x",
            digest=f"{events[0].pk}",
            prefix="x",
            permission="full_access",
        )

    good = Recorder("good")
    subscribe(Subscriber("careless", refer_to_nothing), good.subscriber)
    [event] = published(workspace, 1)
    assert dispatch_due().failed == 1
    assert good.recorded == [0]
    event.refresh_from_db()
    assert event.pending == ["careless"]
    assert event.last_error.startswith(f"careless: {IntegrityError.__name__}")


def test_the_error_names_every_subscriber_that_failed(workspace, subscribe):
    first, second = Recorder("first"), Recorder("second")
    first.broken = second.broken = {0}
    subscribe(first.subscriber, second.subscriber)
    [event] = published(workspace, 1)
    dispatch_due()
    event.refresh_from_db()
    assert event.pending == ["first", "second"]
    assert [error.split(":")[0] for error in event.last_error.split("; ")] == ["first", "second"]


def test_a_long_error_is_cut(workspace, subscribe):
    def fail(events):
        raise ValueError("x" * 5000)

    subscribe(Subscriber("wordy", fail))
    [event] = published(workspace, 1)
    dispatch_due()
    event.refresh_from_db()
    assert len(event.last_error) == 1000


def test_a_worker_that_lost_its_lease_dispatches_nothing(workspace, broken, monkeypatch):
    """Two connections: the second worker claims and finishes before the first one locks."""
    broken.broken = frozenset()
    published(workspace, 3)
    claimed, resume = threading.Event(), threading.Event()
    results = []
    lock = type(Event.objects.all()).lock_claimed

    def lock_late(rows, events):
        if threading.current_thread() is not threading.main_thread():
            claimed.set()
            resume.wait(30)
        return lock(rows, events)

    monkeypatch.setattr(type(Event.objects.all()), "lock_claimed", lock_late)
    slow = _worker(results)
    assert claimed.wait(30)
    Event.objects.update(next_attempt_at=F("next_attempt_at") - 2 * LEASE)
    assert dispatch_due() == Batch(claimed=3, processed=3, failed=0)
    resume.set()
    slow.join(30)
    assert results == [Batch(claimed=3, processed=0, failed=0)]
    assert [each.recorded for each in (broken, *broken.others)] == [[0, 1, 2]] * 3


def test_a_slow_dispatch_keeps_its_events_beyond_the_lease(workspace, subscribe, monkeypatch):
    """Two connections: the first worker is still busy with the events when its lease ends."""
    busy, resume = threading.Event(), threading.Event()
    results, recorder = [], Recorder("slow")

    def handle_slowly(events):
        recorder.handle(events)
        busy.set()
        resume.wait(30)

    subscribe(Subscriber("slow", handle_slowly))
    claim = type(Event.objects.all()).claim
    monkeypatch.setattr(
        type(Event.objects.all()),
        "claim",
        lambda rows, limit: claim(rows, limit=limit, lease=timedelta(milliseconds=1)),
    )
    published(workspace, 3)
    slow = _worker(results)
    assert busy.wait(30)
    assert Event.objects.due().count() == 3
    assert dispatch_due() == Batch(0)
    resume.set()
    slow.join(30)
    assert results == [Batch(claimed=3, processed=3, failed=0)]
    assert recorder.recorded == [0, 1, 2]


def test_names_of_subscribers_are_unique(monkeypatch):
    twice = [Recorder("same").subscriber, Recorder("same").subscriber]
    monkeypatch.setattr("core.hooks.collect", lambda name: twice)
    subscriptions.subscribers.cache_clear()
    with pytest.raises(ImproperlyConfigured, match="unique"):
        subscriptions.subscribers()


def test_the_dead_lettered_are_found_by_their_index(workspace):
    rows = Event.objects.dead_lettered().order_by("-pk").values("pk")[:100]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        assert "events_dead_lettered" in rows.explain()


def test_overdue_events_raise_an_alert(workspace, broken):
    published(workspace, 2)
    assert overdue_events().count == 0
    Event.objects.update(next_attempt_at=F("next_attempt_at") - timedelta(minutes=5))
    alert = overdue_events()
    assert (alert.count, alert.url) == (2, reverse(CHANGELIST) + "?work=overdue")


def _worker(results):
    """A thread with a database connection of its own that dispatches one batch."""

    def work():
        try:
            results.append(dispatch_due())
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread
