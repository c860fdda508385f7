"""One dead or slow endpoint costs only itself."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from receiving_end import response

from core.queue import worker_loop
from webhooks.dispatch.claim import claim
from webhooks.dispatch.loop import deliver_due
from webhooks.health import PROBED_FROM
from webhooks.models import Attempt, Delivery, Endpoint, EndpointRateLimit

pytestmark = pytest.mark.django_db(transaction=True)


async def _silence(request):
    await asyncio.sleep(30)


@pytest.fixture
def impatient(settings):
    settings.WEBHOOK_TIMEOUT = 0.3


def in_a_row():
    return Endpoint.objects.values_list("failures_in_a_row", flat=True).get()


def claimed(limit):
    return claim(limit, share=20)


def half_open(endpoint, *, for_seconds=0):
    since = timezone.now() - timedelta(seconds=for_seconds)
    Endpoint.objects.filter(pk=endpoint.pk).update(
        failures_in_a_row=PROBED_FROM, failing_since=since, probe_at=since
    )


def let_probe():
    Endpoint.objects.update(probe_at=Now())


def test_failures_in_a_row_are_counted(sink, endpoint_at, happen, make_due, impatient):
    endpoint_at(sink.url())
    sink.answers["/hook"] = _silence
    happen(count=2)
    deliver_due()
    assert in_a_row() == 2
    make_due()
    deliver_due()
    assert in_a_row() == 4


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404])
def test_an_answer_starts_the_count_over(sink, endpoint_at, happen, status):
    half_open(endpoint_at(sink.url()))
    sink.answers["/hook"] = response(status)
    happen()
    deliver_due()
    assert in_a_row() == 0
    assert Endpoint.objects.get().probe_at is None


@pytest.mark.parametrize("answer", [response(500), response(503), response(429), None])
def test_trouble_adds_to_the_count(sink, endpoint_at, happen, answer):
    half_open(endpoint_at(sink.url()))
    sink.answers["/hook"] = answer
    happen()
    deliver_due()
    assert in_a_row() == PROBED_FROM + 1


def test_an_endpoint_without_failures_is_not_written(sink, endpoint_at, happen):
    endpoint_at(sink.url())
    happen(count=3)
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmin::text FROM webhook_endpoints")
        before = cursor.fetchall()
        deliver_due()
        cursor.execute("SELECT xmin::text FROM webhook_endpoints")
        assert cursor.fetchall() == before


def test_after_five_failures_in_a_row_one_request_at_a_time_is_made(endpoint_at, happen):
    endpoint = endpoint_at("https://hooks.example.com/")
    happen(count=30)
    Endpoint.objects.filter(pk=endpoint.pk).update(failures_in_a_row=PROBED_FROM - 1)
    assert len(claimed(5)) == 5
    half_open(endpoint)
    assert claimed(100) == []  # the probe is one of those in flight already
    Delivery.objects.filter(status="attempting").update(status="success", next_attempt_at=None)
    assert len(claimed(100)) == 1
    assert claimed(100) == []


@pytest.mark.parametrize(
    ("failing_for", "low", "high"),
    [(0, 1, 1), (2, 1, 1), (40, 10, 11), (160, 40, 41), (900, 60, 60)],
)
def test_probes_are_further_apart_the_longer_it_lasts(
    sink, endpoint_at, happen, failing_for, low, high
):
    half_open(endpoint_at(sink.url()), for_seconds=failing_for)
    sink.answers["/hook"] = response(500)
    happen(count=3)
    assert deliver_due() == 1
    wait = Endpoint.objects.annotate(wait=F("probe_at") - Now()).get().wait.total_seconds()
    assert low - 0.5 < wait <= high
    assert deliver_due() == 0
    let_probe()
    assert deliver_due() == 1


def test_what_waits_for_the_probe_uses_no_attempts_up(sink, endpoint_at, happen):
    half_open(endpoint_at(sink.url()))
    sink.answers["/hook"] = response(500)
    happen(count=4)
    for probes in range(1, 4):
        let_probe()
        assert deliver_due() == 1
        waiting = Delivery.objects.filter(attempts=0, status="pending", last_error="")
        assert waiting.count() == 4 - probes
    sink.answers.clear()
    let_probe()
    deliver_due()
    assert Delivery.objects.filter(status="success", attempts=1).count() == 1


def test_a_probe_that_is_answered_lets_all_others_go(sink, endpoint_at, happen, dispatching):
    half_open(endpoint_at(sink.url()))
    answers = iter([response(404)])

    async def answer(request):
        return next(answers, None) or await sink.hold(request)

    sink.answers["/hook"] = answer
    happen(count=10)
    with dispatching():
        sink.wait_for(10)
        sink.release()
    assert sink.most_at_once == {"/hook": 9}
    assert in_a_row() == 0


def test_endpoints_that_all_begin_to_hang_leave_places_for_the_others(
    sink, endpoint_at, happen, dispatching, settings
):
    settings.WEBHOOK_CONCURRENCY = 40
    for name in ("a", "b", "c", "d"):
        endpoint_at(sink.url(name), ["contact.created"])
        sink.answers[f"/{name}"] = sink.hold
    happen(count=40)
    with dispatching():
        sink.wait_for(30)
        endpoint_at(sink.url("fine"), ["contact.deleted"])
        happen("contact.deleted", count=50)
        sink.wait_for(50, path="fine")
        assert len(sink.received) == 80
        sink.release()


def test_an_endpoint_gets_no_more_a_second_than_its_rate_limit(
    sink, endpoint_at, happen, dispatching
):
    endpoint = endpoint_at(sink.url("paced"))
    endpoint_at(sink.url("free"))
    Endpoint.objects.filter(pk=endpoint.pk).update(rate_limit=20)
    EndpointRateLimit.objects.create(endpoint=endpoint, rate=20, tokens=1)
    happen(count=30)
    began = time.monotonic()
    with dispatching():
        sink.wait_for(30, path="free")
        sink.wait_for(30, path="paced")
    took = time.monotonic() - began
    # One is in the bucket, and it holds two.
    assert 27 / 20 <= took < 4
    at = sorted(Attempt.objects.filter(delivery__endpoint=endpoint).values_list("at", flat=True))
    for first, after_a_second in zip(at, at[23:], strict=False):
        assert after_a_second - first > timedelta(seconds=0.95)


def test_dispatchers_share_one_rate_limit(sink, endpoint_at, happen, dispatching):
    endpoint = endpoint_at(sink.url())
    Endpoint.objects.filter(pk=endpoint.pk).update(rate_limit=20)
    EndpointRateLimit.objects.create(endpoint=endpoint, rate=20, tokens=1)
    happen(count=25)
    began = time.monotonic()
    with dispatching(), dispatching():
        sink.wait_for(25)
    assert time.monotonic() - began >= 22 / 20
    assert len(sink.received) == 25


def test_a_hanging_endpoint_delays_no_other(sink, endpoint_at, happen, dispatching):
    endpoint_at(sink.url("dead"), ["contact.created"])
    endpoint_at(sink.url("fine"), ["contact.*"])
    sink.answers["/dead"] = sink.hold
    happen(count=60)
    with dispatching() as thread:
        # Everything for the one is there while the other has answered nothing yet.
        sink.wait_for(60, path="fine")
        sink.wait_for(20, path="dead")
        happen("contact.deleted", count=5)  # and what comes later is
        sink.wait_for(65, path="fine")
        assert sink.paths().count("dead") == 20
        assert thread.is_alive()
        sink.release()
    assert sink.paths().count("dead") == 60
    assert not Delivery.objects.exclude(status="success").exists()


def test_endpoints_take_turns_when_places_are_few(sink, endpoint_at, happen, settings):
    settings.WEBHOOK_CONCURRENCY = 4
    endpoint_at(sink.url("many"), ["contact.created"])
    endpoint_at(sink.url("few"), ["contact.deleted"])
    happen("contact.created", count=100)
    happen("contact.deleted", count=3)  # younger than all of those
    deliver_due()
    last_of_few = max(at for at, path in enumerate(sink.paths()) if path == "few")
    assert last_of_few < 20


def test_no_more_than_the_set_number_of_requests_are_in_flight(
    sink, endpoint_at, happen, settings, dispatching
):
    settings.WEBHOOK_CONCURRENCY = 5
    for name in "abc":
        endpoint_at(sink.url(name))
        sink.answers[f"/{name}"] = sink.hold
    happen(count=4)
    with dispatching():
        sink.wait_for(5)
        assert Delivery.objects.filter(status="attempting").count() == 5
        sink.release()
    assert len(sink.received) == 12


def test_two_dispatchers_together_keep_to_an_endpoints_share(
    sink, endpoint_at, happen, dispatching
):
    """Each has a connection of its own, as two processes on two hosts would."""
    endpoint_at(sink.url("a"))
    endpoint_at(sink.url("b"))

    async def slowly(request):
        await asyncio.sleep(0.02)
        return response()

    sink.answers |= {"/a": slowly, "/b": slowly}
    happen(count=150)
    with dispatching(), dispatching():
        sink.wait_for(300, timeout=20)
    assert sink.most_at_once["/a"] <= 20
    assert sink.most_at_once["/b"] <= 20
    assert len({(request.path, request.body) for request in sink.received}) == 300
    assert len(sink.received) == 300  # none was sent twice
    assert Attempt.objects.count() == 300


def test_claims_wait_for_each_other_so_that_the_share_is_counted_right(endpoint_at, happen):
    endpoint_at("https://hooks.example.com/")
    happen(count=50)
    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            assert len(claimed(15)) == 15  # not visible to others yet
            second = elsewhere.submit(claimed, 100)
            with pytest.raises(TimeoutError):
                second.result(timeout=0.2)
        assert len(second.result(timeout=5)) == 5
        elsewhere.submit(lambda: connection.close()).result()


def test_the_second_dispatcher_takes_nothing_while_the_share_is_used_up(
    sink, endpoint_at, happen, dispatching
):
    endpoint_at(sink.url())
    sink.answers["/hook"] = sink.hold
    happen(count=50)
    with dispatching():
        sink.wait_for(20)
        assert deliver_due() == 0
        assert len(sink.received) == 20
        sink.release()
    assert len(sink.received) == 50


def test_new_work_is_picked_up_while_a_slow_request_is_in_flight(
    sink, endpoint_at, happen, dispatching
):
    endpoint_at(sink.url("slow"), ["contact.created"])
    endpoint_at(sink.url("fine"), ["contact.deleted"])
    sink.answers["/slow"] = sink.hold
    happen("contact.created")
    with dispatching():
        sink.wait_for(1, path="slow")
        happen("contact.deleted")
        sink.wait_for(1, path="fine")
        sink.release()


@pytest.fixture
def stopping():
    """What SIGTERM sets in a worker."""
    yield worker_loop.stopping
    worker_loop.stopping.clear()


def test_a_worker_that_is_stopping_ends_its_requests_and_claims_no_more(
    sink, endpoint_at, happen, dispatching, stopping
):
    endpoint_at(sink.url())
    sink.answers["/hook"] = sink.hold
    happen(count=25)
    with dispatching():
        sink.wait_for(20)
        stopping.set()
        sink.release()
    assert len(sink.received) == 20
    assert Delivery.objects.filter(status="success", attempts=1).count() == 20
    assert Delivery.objects.filter(status="pending", attempts=0).count() == 5
