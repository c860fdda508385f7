"""A hint wakes one process. Whoever claims a full batch wakes the next."""

import threading
import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from core.queue import wake, worker_loop
from core.queue.queues import queues_of
from domains.models import Domain
from emails.models import Email
from events.models import Event
from ingest.models import ProviderEvent
from tracking.models import Hit
from webhooks.models import Delivery, Recovery
from webhooks.services import create_endpoint

# SES takes about one removal a second from its list: a second process would only be throttled.
QUEUES = [each for each in queues_of(settings.APPS) if each.name != "remove-from-ses-list"]
SMALL = 3  # the batches of these tests
DUE = timezone.now() - timedelta(minutes=1)

# The dispatcher claims in a thread with a connection of its own.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hinted(monkeypatch):
    """The names of tasks that were hinted at."""
    hints = []
    monkeypatch.setattr(wake, "hint", hints.append)
    return hints


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch, settings):
    for name in ("events.dispatch", "emails.facts.opens_and_clicks", "domains.verification"):
        monkeypatch.setattr(f"{name}.BATCH", SMALL)
    monkeypatch.setattr("emails.sending.send_results._GIVE_UP_BATCH", SMALL)
    monkeypatch.setattr(wake, "_passed_on", {})
    settings.INGEST_BATCH = settings.SEND_CONCURRENCY = SMALL
    settings.WEBHOOK_CONCURRENCY = SMALL + SMALL // 4


@pytest.fixture
def backlog(workspace, monkeypatch):
    """`backlog(queue, count)` makes rows due; none of them leaves the process."""
    monkeypatch.setattr("domains.verification._process", lambda domain: True)
    monkeypatch.setattr("emails.sending.loop._sends", lambda emails, begin_by: [])
    monkeypatch.setattr("webhooks.dispatch.claim._jobs", lambda deliveries, endpoints: [])
    monkeypatch.setattr("ingest.processing._record", lambda processor, callbacks: [])

    def make(queue, count):
        makers = {
            "check-domains": _domains,
            "deliver-webhooks": _deliveries,
            "dispatch-events": _events,
            "process-ses": _callbacks,
            "record-hits": _hits,
            "recover-webhooks": _recoveries,
            "resolve-unknown": lambda *given: _emails(*given, status="unknown"),
            "send": _emails,
        }
        makers[queue.name](workspace, count)

    return make


def _domains(workspace, count):
    Domain.objects.bulk_create(
        Domain(
            workspace=workspace,
            name=f"d{number}.example.com",
            region="us-east-1",
            next_attempt_at=DUE,
        )
        for number in range(count)
    )


def _emails(workspace, count, status="queued"):
    Email.objects.bulk_create(
        Email(
            workspace=workspace,
            sender="a@example.com",
            to=["b@example.com"],
            text="Hi",
            status=status,
            provider="smtp",
            next_attempt_at=DUE,
        )
        for _ in range(count)
    )


def _events(workspace, count):
    Event.objects.bulk_create(
        Event(workspace=workspace, type="contact.created", body="{}", next_attempt_at=DUE)
        for _ in range(count)
    )


def _deliveries(workspace, count):
    _events(workspace, count)
    endpoint, _ = create_endpoint(
        workspace=workspace, url="http://127.0.0.1:1024", event_types=["*"]
    )
    Delivery.objects.bulk_create(
        Delivery(endpoint=endpoint, event=event, next_attempt_at=DUE)
        for event in Event.objects.all()
    )


def _recoveries(workspace, count):
    endpoint, _ = create_endpoint(
        workspace=workspace, url="http://127.0.0.1:1024", event_types=["*"]
    )
    event = Event(workspace=workspace, type="contact.created", body="{}")
    since = event.created_at
    Recovery.objects.bulk_create(
        Recovery(
            endpoint=endpoint,
            since=since,
            until=since + timedelta(hours=1),
            only="all",
            next_attempt_at=DUE,
        )
        for _ in range(count)
    )


def _callbacks(workspace, count):
    ProviderEvent.objects.bulk_create(
        ProviderEvent(source="ses", event_id=str(number), body="{}", next_attempt_at=DUE)
        for number in range(count)
    )


def _hits(workspace, count):
    _emails(workspace, 1)
    Hit.objects.bulk_create(
        Hit(email_id=Email.objects.get().pk, kind="open", at=DUE, next_attempt_at=DUE)
        for _ in range(count)
    )


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_a_full_batch_of_any_queue_wakes_another_process(queue, backlog, hinted):
    backlog(queue, SMALL)
    queue.process_batch(0.3)
    assert hinted.count(queue.task) == 1


@pytest.mark.parametrize(
    "queue", [queue for queue in QUEUES if queue.name != "recover-webhooks"], ids=lambda q: q.name
)
def test_what_one_process_can_take_wakes_no_other(queue, backlog, hinted):
    backlog(queue, SMALL - 1)
    queue.process_batch(0.3)
    assert queue.task not in hinted


def test_a_long_pass_does_not_hint_at_every_batch(hinted, monkeypatch):
    for _ in range(50):
        wake.pass_on("a.task", claimed=500, limit=500)
    assert hinted == ["a.task"]
    monkeypatch.setattr(wake, "PASS_ON_EVERY", 0.0)
    wake.pass_on("a.task", claimed=500, limit=500)
    wake.pass_on("a.task", claimed=499, limit=500)
    wake.pass_on("a.task", claimed=0, limit=0)
    assert hinted == ["a.task"] * 2


def test_every_pass_may_wake_one(hinted, monkeypatch):
    queue = QUEUES[0]

    def batch(*_):
        wake.pass_on(queue.task, claimed=1, limit=1)
        return worker_loop.Batch(0)

    monkeypatch.setattr(type(queue), "process_batch", batch)
    worker_loop.drain(queue)
    worker_loop.drain(queue)
    assert hinted == [queue.task] * 2


def test_one_hint_wakes_every_idle_process(workspace, monkeypatch):
    """Three consumers of one queue, one hint, and a batch that takes a while."""
    from core import redis

    queue = next(queue for queue in QUEUES if queue.name == "dispatch-events")
    remaining, working = [SMALL * 20], set()
    lock = threading.Lock()

    def batch(self, seconds):
        with lock:
            claimed = min(SMALL, remaining[0])
            remaining[0] -= claimed
        if claimed:
            working.add(threading.current_thread().name)
            wake.pass_on(queue.task, claimed=claimed, limit=SMALL)
            time.sleep(0.1)
        return worker_loop.Batch(claimed)

    monkeypatch.setattr(type(queue), "process_batch", batch)
    monkeypatch.setattr(wake, "PASS_ON_EVERY", 0.0)  # each thread stands for a process

    def consume():
        end = time.monotonic() + 10
        while time.monotonic() < end and remaining[0]:
            if redis.client().lpop("database"):
                worker_loop.drain(queue)
            time.sleep(0.01)

    threads = [threading.Thread(target=consume, name=f"process {n}") for n in range(3)]
    for thread in threads:
        thread.start()
    wake.hint(queue.task)
    for thread in threads:
        thread.join(15)
    assert remaining == [0]
    assert len(working) == 3
