"""What is owed to endpoints that are disabled or deleted ends in the background."""

import threading
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from receiving_end import response

from core.queue import wake
from events.models import Event
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


CLOSED = {("failed", "endpoint_disabled", None)}


@pytest.fixture
def owed(endpoint_at, happen):
    """An endpoint that is owed five events, and another that is owed the same."""
    endpoint, other = endpoint_at(URL), endpoint_at(URL)
    happen(count=5)
    return endpoint, other


@pytest.fixture
def elsewhere():
    """A second connection to the database of this test; the first waits for it for a moment."""
    settings = {
        name: value
        for name, value in connection.get_connection_params().items()
        if name not in ("cursor_factory", "context", "prepare_threshold")
    }
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'")
    with psycopg.connect(**settings) as other:
        yield other
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


def hang_up(other):
    """End the connection, and wait until the server has noticed and released what it held."""
    pid = other.info.backend_pid
    other.close()
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid])
            if cursor.fetchone() == (0,):
                return


@pytest.fixture
def told(monkeypatch):
    """The tasks that were hinted at."""
    hints = []
    monkeypatch.setattr(wake, "hint", hints.append)
    return hints


def long_deleted(endpoint):
    delete_endpoint(endpoint)
    Endpoint.objects.filter(pk=endpoint.pk).update(deleted_at=timezone.now() - timedelta(hours=1))


def test_what_is_owed_to_a_disabled_endpoint_fails(owed, told):
    endpoint, other = owed
    update_endpoint(endpoint, {"status": "disabled"})
    assert told == ["webhooks.tasks.clean_up_endpoints"]
    assert clean_up_endpoints() == 5
    assert statuses(endpoint) == CLOSED
    assert {status for status, *_ in statuses(other)} == {"pending"}
    assert clean_up_endpoints() == 0


def test_what_waits_for_a_later_attempt_fails_too(owed):
    endpoint, _ = owed
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(hours=20))
    update_endpoint(endpoint, {"status": "disabled"})
    assert clean_up_endpoints() == 5


def test_nothing_fails_once_the_endpoint_is_enabled_again(owed, monkeypatch):
    monkeypatch.setattr(cleanup, "BATCH", 2)
    endpoint, _ = owed
    update_endpoint(endpoint, {"status": "disabled"})
    assert cleanup.clean_up_some() == 2
    update_endpoint(endpoint, {"status": "enabled"})
    assert clean_up_endpoints() == 0
    assert endpoint.deliveries.filter(status="pending").count() == 3


def test_it_gives_way_after_a_slice_and_asks_for_another(owed, monkeypatch, told):
    monkeypatch.setattr(cleanup, "BATCH", 2)
    monkeypatch.setattr("webhooks.tasks.SLICE_SECONDS", 0)
    endpoint, _ = owed
    update_endpoint(endpoint, {"status": "disabled"})
    assert [clean_up_endpoints() for _ in range(4)] == [2, 2, 1, 0]
    assert told == ["webhooks.tasks.clean_up_endpoints"] * 4


def test_a_request_in_flight_comes_to_its_own_end(owed):
    endpoint, _ = owed
    claim(4, share=2)
    update_endpoint(endpoint, {"status": "disabled"})
    assert clean_up_endpoints() == 3
    flying = endpoint.deliveries.filter(status="attempting")
    assert flying.count() == 2
    flying.update(next_attempt_at=Now())  # its dispatcher died
    assert clean_up_endpoints() == 2
    assert statuses(endpoint) == CLOSED


def test_a_failure_recorded_after_disabling_is_closed_by_the_next_look(
    sink, endpoint_at, happen, dispatching
):
    async def fail_later(request):
        await sink.hold(request)
        return response(500)

    sink.answers["/hook"] = fail_later
    endpoint = endpoint_at(sink.url())
    happen(count=2)
    with dispatching():
        sink.wait_for(2)
        update_endpoint(endpoint, {"status": "disabled"})
        assert clean_up_endpoints() == 0
        sink.release()
    assert {status for status, *_ in statuses(endpoint)} == {"pending"}
    assert clean_up_endpoints() == 2
    assert statuses(endpoint) == CLOSED
    assert Attempt.objects.count() == 2


def test_nothing_is_left_of_a_deleted_endpoint(owed, told):
    endpoint, other = owed
    claim(10, share=5)
    for delivery in endpoint.deliveries.all():
        Attempt.objects.create(delivery=delivery, number=1, duration_ms=1, at=timezone.now())
    EndpointRateLimit.objects.create(endpoint=endpoint, rate=1, tokens=1)
    EndpointHour.objects.create(endpoint=endpoint, hour=timezone.now())
    since = timezone.now() - timedelta(hours=1)
    Recovery.objects.create(endpoint=endpoint, since=since, until=timezone.now(), only="all")
    long_deleted(endpoint)
    assert told == ["webhooks.tasks.clean_up_endpoints"]
    assert clean_up_endpoints() == 6
    for model in (Attempt, EndpointRateLimit, EndpointHour, Recovery):
        assert not model.objects.exists()
    assert list(Endpoint.objects.all()) == [other]
    assert (other.deliveries.count(), Event.objects.count()) == (5, 5)


def test_a_deleted_endpoint_stays_for_a_minute_for_those_who_read_it_before(owed, elsewhere):
    endpoint, _ = owed
    delete_endpoint(endpoint)
    assert clean_up_endpoints() == 5
    (event, *_) = Event.objects.all()
    Delivery.objects.create(endpoint=endpoint, event=event)  # a fan-out that was under way
    assert clean_up_endpoints() == 1
    assert Endpoint.objects.filter(pk=endpoint.pk).exists()


def test_the_row_goes_after_the_last_delivery(owed, monkeypatch):
    monkeypatch.setattr(cleanup, "BATCH", 2)
    endpoint, _ = owed
    long_deleted(endpoint)
    left = []
    while cleanup.clean_up_some():
        left.append((endpoint.deliveries.count(), Endpoint.objects.count()))
    assert left == [(3, 2), (1, 2), (0, 2), (0, 1)]


@pytest.mark.parametrize("end", [delete_endpoint, long_deleted])
@pytest.mark.parametrize("status", ["pending", "attempting"])
def test_what_a_dispatcher_has_locked_is_left_to_the_next_look(owed, elsewhere, end, status):
    endpoint, _ = owed
    held = endpoint.deliveries.first()
    elsewhere.execute("UPDATE webhook_deliveries SET status = %s WHERE id = %s", [status, held.pk])
    end(endpoint)
    assert clean_up_endpoints() == 4  # without waiting
    elsewhere.rollback()
    assert clean_up_endpoints() == (2 if end is long_deleted else 1)


def test_a_killed_closer_loses_nothing(owed, elsewhere):
    endpoint, _ = owed
    update_endpoint(endpoint, {"status": "disabled"})
    elsewhere.execute(cleanup._CLOSE, {"batch": 3})
    assert clean_up_endpoints() == 2
    hang_up(elsewhere)
    assert clean_up_endpoints() == 3
    assert statuses(endpoint) == CLOSED


def test_dispatching_closing_and_removing_at_once_come_to_an_end(
    sink, endpoint_at, happen, dispatching, monkeypatch
):
    """Three that lock the same rows: none waits for another in a circle."""
    monkeypatch.setattr(cleanup, "BATCH", 7)
    endpoints = [endpoint_at(sink.url(f"e{number}")) for number in range(6)]
    happen(count=150)
    stays, disabled, deleted = endpoints[:2], endpoints[2:4], endpoints[4:]
    errors, over = [], threading.Event()

    def close():
        try:
            while not over.is_set():
                cleanup.clean_up_some()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    closers = [threading.Thread(target=close) for _ in range(2)]
    with dispatching():
        sink.wait_for(100)
        for endpoint in disabled:
            update_endpoint(endpoint, {"status": "disabled"})
        for endpoint in deleted:
            long_deleted(endpoint)
        for closer in closers:
            closer.start()
    over.set()
    for closer in closers:
        closer.join(20)
    while cleanup.clean_up_some():
        pass
    assert errors == []
    for endpoint in stays:
        assert statuses(endpoint) == {("success", "", None)}
    for endpoint in disabled:
        assert statuses(endpoint) <= {("success", "", None)} | CLOSED
    assert set(Endpoint.objects.all()) == {*stays, *disabled}
    assert deliver_due() == 0
