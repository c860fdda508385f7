"""Passes over the queues of webhooks are bounded and counted."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import call_command

from core.queue import worker_loop
from core.queue.queues import Batch
from core.queue.worker_loop import drain
from tests.webhooks.webhook_sink import response
from webhooks import queues, replay
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Delivery, Endpoint, EndpointRateLimit, Recovery
from webhooks.services import update_endpoint
from webhooks.tasks import clean_up_endpoints, deliver_due_webhooks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stopping():
    """The flag that SIGTERM sets in a worker."""
    worker_loop.stopping.set()
    yield
    worker_loop.stopping.clear()


def limit_rate(endpoint, rate):
    Endpoint.objects.filter(pk=endpoint.pk).update(rate_limit=rate)
    EndpointRateLimit.objects.create(endpoint=endpoint, rate=rate, tokens=1)


def test_a_pass_counts_successful_and_failed_attempts(sink, endpoint_at, publish_events):
    endpoint_at(sink.url("fine"))
    endpoint_at(sink.url("broken"), ["contact.created"])
    sink.answers["/broken"] = response(500)
    publish_events("contact.created", "contact.deleted")
    assert deliver_due() == Batch(3, processed=2, failed=1)
    assert deliver_due() == Batch(0)


def test_a_pass_finishes_its_requests_and_claims_no_more_when_its_time_is_over(
    sink, endpoint_at, publish_events
):
    endpoint_at(sink.url())
    sink.answers["/hook"] = sink.hold
    publish_events(count=30)
    with ThreadPoolExecutor(1) as elsewhere:
        began = time.monotonic()
        delivering = elsewhere.submit(deliver_due, seconds=1)
        sink.wait_for(20)
        time.sleep(max(0, began + 1.1 - time.monotonic()))
        sink.release()
        assert delivering.result(timeout=5) == Batch(20, processed=20)
    assert len(sink.received) == 20
    assert Delivery.objects.filter(status="success", attempts=1).count() == 20
    assert Delivery.objects.filter(status="pending", attempts=0).count() == 10


def test_a_pass_does_not_wait_for_a_rate_limit_longer_than_its_time(
    sink, endpoint_at, publish_events
):
    limit_rate(endpoint_at(sink.url()), 1)
    publish_events(count=5)
    began = time.monotonic()
    assert deliver_due(seconds=0.3) == Batch(1, processed=1)
    assert time.monotonic() - began < 0.9
    assert Delivery.objects.filter(status="pending").count() == 4


def test_the_task_hints_for_another_pass_while_there_is_more(
    sink, endpoint_at, publish_events, hinted
):
    limit_rate(endpoint_at(sink.url()), 20)
    publish_events(count=10)
    hinted.clear()
    assert 1 <= drain(queues.DELIVER, seconds=0.2) < 10
    assert hinted == [queues.DELIVER.task]
    deliver_due_webhooks()
    assert hinted == [queues.DELIVER.task]
    assert len(sink.received) == 10


def test_the_command_runs_one_pass(sink, endpoint_at, publish_events):
    endpoint_at(sink.url())
    publish_events(count=2)
    output = StringIO()
    call_command("run_queue", "deliver-webhooks", json=True, stdout=output)
    counts = {"claimed": 2, "processed": 2, "failed": 0, "remaining": 0}
    assert json.loads(output.getvalue()) == counts


def test_a_batch_of_a_recovery_that_fails_is_counted(endpoint_at, monkeypatch, caplog):
    span = {"since": "2026-03-01T00:00Z", "until": "2026-03-02T00:00Z", "only": "all"}
    for _ in range(2):
        Recovery.objects.create(endpoint=endpoint_at("https://hooks.example.com/"), **span)
    assert replay.recover_due() == Batch(1, processed=1)

    def fail(recovery):
        raise ZeroDivisionError

    monkeypatch.setattr(replay, "_advance", fail)
    assert replay.recover_due() == Batch(1, failed=1)
    assert replay.recover_due() == Batch(0)


def test_a_stopping_worker_begins_no_cleanup(endpoint_at, publish_events, stopping, hinted):
    endpoint = endpoint_at("https://hooks.example.com/")
    publish_events()
    update_endpoint(endpoint, {"status": "disabled"})
    hinted.clear()
    assert clean_up_endpoints() == 0
    assert hinted == []
    assert Delivery.objects.get().status == "pending"
