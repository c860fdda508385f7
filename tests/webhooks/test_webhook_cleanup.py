"""Background cleanup of disabled and deleted endpoints."""

import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from events.models import Event
from tests.database import another_connection, concurrently, disconnect, lock_timeout
from tests.webhooks.webhook_sink import response
from webhooks import cleanup
from webhooks.dispatch.claim import claim
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Attempt, Delivery, Endpoint, EndpointHour, EndpointRateLimit, Recovery
from webhooks.services import delete_endpoint, update_endpoint
from webhooks.tasks import clean_up_endpoints

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://hooks.example.com/"


def statuses(endpoint):
    return set(endpoint.deliveries.values_list("status", "last_error", "next_attempt_at"))


FAILED_AS_DISABLED = {("failed", "endpoint_disabled", None)}


@pytest.fixture
def endpoints(endpoint_at, publish_events):
    """Two endpoints with five pending deliveries each."""
    endpoint, other = endpoint_at(URL), endpoint_at(URL)
    publish_events(count=5)
    return endpoint, other


@pytest.fixture
def other_connection():
    """A second connection to the test database; the first waits at most 2 s for its locks."""
    with lock_timeout("2s"), another_connection() as other:
        yield other


def delete_an_hour_ago(endpoint):
    delete_endpoint(endpoint)
    Endpoint.objects.filter(pk=endpoint.pk).update(deleted_at=timezone.now() - timedelta(hours=1))


def test_pending_deliveries_of_a_disabled_endpoint_fail(endpoints, hinted):
    endpoint, other = endpoints
    update_endpoint(endpoint, {"status": "disabled"})
    assert hinted == ["webhooks.tasks.clean_up_endpoints"]
    assert clean_up_endpoints() == 5
    assert statuses(endpoint) == FAILED_AS_DISABLED
    assert {status for status, *_ in statuses(other)} == {"pending"}
    assert clean_up_endpoints() == 0


def test_deliveries_scheduled_for_a_retry_fail_too(endpoints):
    endpoint, _ = endpoints
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(hours=20))
    update_endpoint(endpoint, {"status": "disabled"})
    assert clean_up_endpoints() == 5


def test_enabling_the_endpoint_again_stops_the_cleanup(endpoints, monkeypatch):
    monkeypatch.setattr(cleanup, "BATCH", 2)
    endpoint, _ = endpoints
    update_endpoint(endpoint, {"status": "disabled"})
    assert cleanup.clean_up_some() == 2
    update_endpoint(endpoint, {"status": "enabled"})
    assert clean_up_endpoints() == 0
    assert endpoint.deliveries.filter(status="pending").count() == 3


def test_cleanup_yields_after_a_slice_and_schedules_another(endpoints, monkeypatch, hinted):
    monkeypatch.setattr(cleanup, "BATCH", 2)
    monkeypatch.setattr("webhooks.cleanup.SLICE_SECONDS", 0)
    endpoint, _ = endpoints
    update_endpoint(endpoint, {"status": "disabled"})
    assert [clean_up_endpoints() for _ in range(4)] == [2, 2, 1, 0]
    assert hinted == ["webhooks.tasks.clean_up_endpoints"] * 4


def test_a_delivery_in_flight_is_not_failed_before_its_lease_ends(endpoints):
    endpoint, _ = endpoints
    claim(4, share=2)
    update_endpoint(endpoint, {"status": "disabled"})
    assert clean_up_endpoints() == 3
    in_flight = endpoint.deliveries.filter(status="attempting")
    assert in_flight.count() == 2
    in_flight.update(next_attempt_at=Now())  # its dispatcher crashed
    assert clean_up_endpoints() == 2
    assert statuses(endpoint) == FAILED_AS_DISABLED


def test_a_failure_recorded_after_disabling_is_handled_by_the_next_cleanup(
    sink, endpoint_at, publish_events, dispatching
):
    async def fail_later(request):
        await sink.hold(request)
        return response(500)

    sink.answers["/hook"] = fail_later
    endpoint = endpoint_at(sink.url())
    publish_events(count=2)
    with dispatching():
        sink.wait_for(2)
        update_endpoint(endpoint, {"status": "disabled"})
        assert clean_up_endpoints() == 0
        sink.release()
    assert {status for status, *_ in statuses(endpoint)} == {"pending"}
    assert clean_up_endpoints() == 2
    assert statuses(endpoint) == FAILED_AS_DISABLED
    assert Attempt.objects.count() == 2


def test_a_deleted_endpoint_is_removed_with_all_dependent_rows(endpoints, hinted):
    endpoint, other = endpoints
    claim(10, share=5)
    for delivery in endpoint.deliveries.all():
        Attempt.objects.create(delivery=delivery, number=1, duration_ms=1, at=timezone.now())
    EndpointRateLimit.objects.create(endpoint=endpoint, rate=1, tokens=1)
    EndpointHour.objects.create(endpoint=endpoint, hour=timezone.now())
    since = timezone.now() - timedelta(hours=1)
    Recovery.objects.create(endpoint=endpoint, since=since, until=timezone.now(), only="all")
    delete_an_hour_ago(endpoint)
    assert hinted[-1] == "webhooks.tasks.clean_up_endpoints"
    assert clean_up_endpoints() == 6
    for model in (Attempt, EndpointRateLimit, EndpointHour, Recovery):
        assert not model.objects.exists()
    assert list(Endpoint.objects.all()) == [other]
    assert (other.deliveries.count(), Event.objects.count()) == (5, 5)


def test_a_deleted_endpoint_row_stays_for_a_minute_for_concurrent_fan_outs(
    endpoints, other_connection
):
    endpoint, _ = endpoints
    delete_endpoint(endpoint)
    assert clean_up_endpoints() == 5
    (event, *_) = Event.objects.all()
    Delivery.objects.create(endpoint=endpoint, event=event)  # a concurrent fan-out
    assert clean_up_endpoints() == 1
    assert Endpoint.objects.filter(pk=endpoint.pk).exists()


def test_the_endpoint_row_is_removed_after_its_last_delivery(endpoints, monkeypatch):
    monkeypatch.setattr(cleanup, "BATCH", 2)
    endpoint, _ = endpoints
    delete_an_hour_ago(endpoint)
    remaining = []
    while cleanup.clean_up_some():
        remaining.append((endpoint.deliveries.count(), Endpoint.objects.count()))
    assert remaining == [(3, 2), (1, 2), (0, 2), (0, 1)]


@pytest.mark.parametrize("end", [delete_endpoint, delete_an_hour_ago])
@pytest.mark.parametrize("status", ["pending", "attempting"])
def test_deliveries_locked_by_a_dispatcher_are_left_to_the_next_cleanup(
    endpoints, other_connection, end, status
):
    endpoint, _ = endpoints
    locked = endpoint.deliveries.first()
    update = "UPDATE webhook_deliveries SET status = %s WHERE id = %s"
    other_connection.execute(update, [status, locked.pk])
    end(endpoint)
    assert clean_up_endpoints() == 4  # without waiting
    other_connection.rollback()
    assert clean_up_endpoints() == (2 if end is delete_an_hour_ago else 1)


def test_a_killed_cleanup_loses_nothing(endpoints, other_connection):
    endpoint, _ = endpoints
    update_endpoint(endpoint, {"status": "disabled"})
    other_connection.execute(cleanup._FAIL_PENDING, {"batch": 3})
    assert clean_up_endpoints() == 2
    disconnect(other_connection)
    assert clean_up_endpoints() == 3
    assert statuses(endpoint) == FAILED_AS_DISABLED


def test_concurrent_dispatch_and_cleanup_do_not_deadlock(
    sink, endpoint_at, publish_events, dispatching, monkeypatch
):
    """Three threads lock the same rows."""
    monkeypatch.setattr(cleanup, "BATCH", 7)
    endpoints = [endpoint_at(sink.url(f"e{number}")) for number in range(6)]
    publish_events(count=150)
    enabled, disabled, deleted = endpoints[:2], endpoints[2:4], endpoints[4:]
    done = threading.Event()

    def clean_up():
        while not done.is_set():
            cleanup.clean_up_some()

    with ExitStack() as cleaners, dispatching():
        sink.wait_for(100)
        for endpoint in disabled:
            update_endpoint(endpoint, {"status": "disabled"})
        for endpoint in deleted:
            delete_an_hour_ago(endpoint)
        for _ in range(2):
            cleaners.enter_context(concurrently(clean_up))
        cleaners.callback(done.set)
    while cleanup.clean_up_some():
        pass
    for endpoint in enabled:
        assert statuses(endpoint) == {("success", "", None)}
    for endpoint in disabled:
        assert statuses(endpoint) <= {("success", "", None)} | FAILED_AS_DISABLED
    assert set(Endpoint.objects.all()) == {*enabled, *disabled}
    assert deliver_due().claimed == 0
