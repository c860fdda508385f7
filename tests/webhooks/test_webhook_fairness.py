"""A dead or slow endpoint does not delay the others."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from core.queue import worker_loop
from tests.webhooks.webhook_sink import never_respond, response
from webhooks.dispatch.claim import claim
from webhooks.dispatch.loop import deliver_due
from webhooks.health import PROBE_AFTER
from webhooks.models import Attempt, Delivery, Endpoint, EndpointRateLimit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def short_timeout(settings):
    settings.WEBHOOK_TIMEOUT = 0.3


def failures_in_a_row():
    return Endpoint.objects.values_list("failures_in_a_row", flat=True).get()


def claim_jobs(limit):
    return claim(limit, share=20)


def make_half_open(endpoint, *, for_seconds=0):
    since = timezone.now() - timedelta(seconds=for_seconds)
    Endpoint.objects.filter(pk=endpoint.pk).update(
        failures_in_a_row=PROBE_AFTER, failing_since=since, probe_at=since
    )


def make_probe_due():
    Endpoint.objects.update(probe_at=Now())


def test_consecutive_failures_are_counted(
    sink, endpoint_at, publish_events, make_due, short_timeout
):
    endpoint_at(sink.url())
    sink.answers["/hook"] = never_respond
    publish_events(count=2)
    deliver_due()
    assert failures_in_a_row() == 2
    make_due()
    deliver_due()
    assert failures_in_a_row() == 4


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404])
def test_a_response_resets_the_failure_count(sink, endpoint_at, publish_events, status):
    make_half_open(endpoint_at(sink.url()))
    sink.answers["/hook"] = response(status)
    publish_events()
    deliver_due()
    assert failures_in_a_row() == 0
    assert Endpoint.objects.get().probe_at is None


@pytest.mark.parametrize("answer", [response(500), response(503), response(429), None])
def test_unavailability_adds_to_the_failure_count(sink, endpoint_at, publish_events, answer):
    make_half_open(endpoint_at(sink.url()))
    sink.answers["/hook"] = answer
    publish_events()
    deliver_due()
    assert failures_in_a_row() == PROBE_AFTER + 1


def test_a_healthy_endpoint_is_not_updated(sink, endpoint_at, publish_events):
    endpoint_at(sink.url())
    publish_events(count=3)
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmin::text FROM webhook_endpoints")
        before = cursor.fetchall()
        deliver_due()
        cursor.execute("SELECT xmin::text FROM webhook_endpoints")
        assert cursor.fetchall() == before


def test_after_five_consecutive_failures_one_request_at_a_time_is_sent(endpoint_at, publish_events):
    endpoint = endpoint_at("https://hooks.example.com/")
    publish_events(count=30)
    Endpoint.objects.filter(pk=endpoint.pk).update(failures_in_a_row=PROBE_AFTER - 1)
    assert len(claim_jobs(5)) == 5
    make_half_open(endpoint)
    assert claim_jobs(100) == []  # the probe is one of those in flight already
    Delivery.objects.filter(status="attempting").update(status="success", next_attempt_at=None)
    assert len(claim_jobs(100)) == 1
    assert claim_jobs(100) == []


@pytest.mark.parametrize(
    ("failing_for", "low", "high"),
    [(0, 1, 1), (2, 1, 1), (40, 10, 11), (160, 40, 41), (900, 60, 60)],
)
def test_probe_intervals_grow_with_the_outage(
    sink, endpoint_at, publish_events, failing_for, low, high
):
    make_half_open(endpoint_at(sink.url()), for_seconds=failing_for)
    sink.answers["/hook"] = response(500)
    publish_events(count=3)
    assert deliver_due().claimed == 1
    wait = Endpoint.objects.annotate(wait=F("probe_at") - Now()).get().wait.total_seconds()
    assert low - 0.5 < wait <= high
    assert deliver_due().claimed == 0
    make_probe_due()
    assert deliver_due().claimed == 1


def test_waiting_for_a_probe_uses_no_attempts(sink, endpoint_at, publish_events):
    make_half_open(endpoint_at(sink.url()))
    sink.answers["/hook"] = response(500)
    publish_events(count=4)
    for probes in range(1, 4):
        make_probe_due()
        assert deliver_due().claimed == 1
        waiting = Delivery.objects.filter(attempts=0, status="pending", last_error="")
        assert waiting.count() == 4 - probes
    sink.answers.clear()
    make_probe_due()
    deliver_due()
    assert Delivery.objects.filter(status="success", attempts=1).count() == 1


def test_a_successful_probe_releases_waiting_deliveries(
    sink, endpoint_at, publish_events, dispatching
):
    make_half_open(endpoint_at(sink.url()))
    answers = iter([response(404)])

    async def answer(request):
        return next(answers, None) or await sink.hold(request)

    sink.answers["/hook"] = answer
    publish_events(count=10)
    with dispatching():
        sink.wait_for(10)
        sink.release()
    assert sink.most_at_once == {"/hook": 9}
    assert failures_in_a_row() == 0


def test_many_hanging_endpoints_leave_slots_for_the_others(
    sink, endpoint_at, publish_events, dispatching, settings
):
    settings.WEBHOOK_CONCURRENCY = 40
    for name in ("a", "b", "c", "d"):
        endpoint_at(sink.url(name), ["contact.created"])
        sink.answers[f"/{name}"] = sink.hold
    publish_events(count=40)
    with dispatching():
        sink.wait_for(30)
        endpoint_at(sink.url("fine"), ["contact.deleted"])
        publish_events("contact.deleted", count=50)
        sink.wait_for(50, path="fine")
        assert len(sink.received) == 80
        sink.release()


def test_an_endpoint_gets_no_more_requests_per_second_than_its_rate_limit(
    sink, endpoint_at, publish_events, dispatching
):
    endpoint = endpoint_at(sink.url("paced"))
    endpoint_at(sink.url("free"))
    Endpoint.objects.filter(pk=endpoint.pk).update(rate_limit=20)
    EndpointRateLimit.objects.create(endpoint=endpoint, rate=20, tokens=1)
    publish_events(count=30)
    began = time.monotonic()
    with dispatching():
        sink.wait_for(30, path="free")
        sink.wait_for(30, path="paced")
    took = time.monotonic() - began
    # The bucket starts with one token and holds two.
    assert 27 / 20 <= took < 4
    at = sorted(Attempt.objects.filter(delivery__endpoint=endpoint).values_list("at", flat=True))
    for first, after_a_second in zip(at, at[23:], strict=False):
        assert after_a_second - first > timedelta(seconds=0.95)


def test_dispatchers_share_one_rate_limit(sink, endpoint_at, publish_events, dispatching):
    endpoint = endpoint_at(sink.url())
    Endpoint.objects.filter(pk=endpoint.pk).update(rate_limit=20)
    EndpointRateLimit.objects.create(endpoint=endpoint, rate=20, tokens=1)
    publish_events(count=25)
    began = time.monotonic()
    with dispatching(), dispatching():
        sink.wait_for(25)
    assert time.monotonic() - began >= 22 / 20
    assert len(sink.received) == 25


def test_a_hanging_endpoint_delays_no_other(sink, endpoint_at, publish_events, dispatching):
    endpoint_at(sink.url("dead"), ["contact.created"])
    endpoint_at(sink.url("fine"), ["contact.*"])
    sink.answers["/dead"] = sink.hold
    publish_events(count=60)
    with dispatching() as ended:
        # Everything for `fine` arrives before `dead` has answered anything.
        sink.wait_for(60, path="fine")
        sink.wait_for(20, path="dead")
        publish_events("contact.deleted", count=5)  # later events arrive too
        sink.wait_for(65, path="fine")
        assert sink.paths().count("dead") == 20
        assert not ended.done()
        sink.release()
    assert sink.paths().count("dead") == 60
    assert not Delivery.objects.exclude(status="success").exists()


def test_endpoints_are_served_round_robin_when_slots_are_few(
    sink, endpoint_at, publish_events, settings
):
    settings.WEBHOOK_CONCURRENCY = 4
    endpoint_at(sink.url("many"), ["contact.created"])
    endpoint_at(sink.url("few"), ["contact.deleted"])
    publish_events("contact.created", count=100)
    publish_events("contact.deleted", count=3)  # younger than all of those
    deliver_due()
    last_of_few = max(at for at, path in enumerate(sink.paths()) if path == "few")
    assert last_of_few < 20


def test_requests_in_flight_stay_within_the_concurrency_setting(
    sink, endpoint_at, publish_events, settings, dispatching
):
    settings.WEBHOOK_CONCURRENCY = 5
    for name in "abc":
        endpoint_at(sink.url(name))
        sink.answers[f"/{name}"] = sink.hold
    publish_events(count=4)
    with dispatching():
        sink.wait_for(5)
        assert Delivery.objects.filter(status="attempting").count() == 5
        sink.release()
    assert len(sink.received) == 12


def test_two_dispatchers_together_respect_the_limit_per_endpoint(
    sink, endpoint_at, publish_events, dispatching
):
    """Each has its own connection, like two processes on two hosts."""
    endpoint_at(sink.url("a"))
    endpoint_at(sink.url("b"))

    async def slowly(request):
        await asyncio.sleep(0.02)
        return response()

    sink.answers |= {"/a": slowly, "/b": slowly}
    publish_events(count=150)
    with dispatching(), dispatching():
        sink.wait_for(300, timeout=20)
    assert sink.most_at_once["/a"] <= 20
    assert sink.most_at_once["/b"] <= 20
    assert len({(request.path, request.body) for request in sink.received}) == 300
    assert len(sink.received) == 300  # none was sent twice
    assert Attempt.objects.count() == 300


def test_claims_are_serialized_so_that_the_share_is_counted_correctly(endpoint_at, publish_events):
    endpoint_at("https://hooks.example.com/")
    publish_events(count=50)
    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            assert len(claim_jobs(15)) == 15  # not visible to others yet
            second = elsewhere.submit(claim_jobs, 100)
            with pytest.raises(TimeoutError):
                second.result(timeout=0.2)
        assert len(second.result(timeout=5)) == 5
        elsewhere.submit(lambda: connection.close()).result()


def test_a_second_dispatcher_claims_nothing_while_the_share_is_used_up(
    sink, endpoint_at, publish_events, dispatching
):
    endpoint_at(sink.url())
    sink.answers["/hook"] = sink.hold
    publish_events(count=50)
    with dispatching():
        sink.wait_for(20)
        assert deliver_due().claimed == 0
        assert len(sink.received) == 20
        sink.release()
    assert len(sink.received) == 50


def test_new_work_is_picked_up_while_a_slow_request_is_in_flight(
    sink, endpoint_at, publish_events, dispatching
):
    endpoint_at(sink.url("slow"), ["contact.created"])
    endpoint_at(sink.url("fine"), ["contact.deleted"])
    sink.answers["/slow"] = sink.hold
    publish_events("contact.created")
    with dispatching():
        sink.wait_for(1, path="slow")
        publish_events("contact.deleted")
        sink.wait_for(1, path="fine")
        sink.release()


@pytest.fixture
def stopping():
    """The flag that SIGTERM sets in a worker."""
    yield worker_loop.stopping
    worker_loop.stopping.clear()


def test_a_stopping_worker_finishes_its_requests_and_claims_no_more(
    sink, endpoint_at, publish_events, dispatching, stopping
):
    endpoint_at(sink.url())
    sink.answers["/hook"] = sink.hold
    publish_events(count=25)
    with dispatching():
        sink.wait_for(20)
        stopping.set()
        sink.release()
    assert len(sink.received) == 20
    assert Delivery.objects.filter(status="success", attempts=1).count() == 20
    assert Delivery.objects.filter(status="pending", attempts=0).count() == 5
