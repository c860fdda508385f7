"""One dead or slow endpoint costs only itself."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection, transaction
from receiving_end import response

from core import draining
from webhooks.claiming import PROBED_FROM, claim
from webhooks.delivering import deliver_due
from webhooks.models import Attempt, Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)


async def _silence(request):
    await asyncio.sleep(30)


@pytest.fixture
def impatient(settings):
    settings.WEBHOOK_TIMEOUT = 0.3


def timeouts():
    return Endpoint.objects.values_list("failures_in_a_row", flat=True).get()


def test_failures_in_a_row_are_counted(sink, endpoint_at, happen, make_due, impatient):
    endpoint_at(sink.url())
    sink.answers["/hook"] = _silence
    happen(count=2)
    deliver_due()
    assert timeouts() == 2
    make_due()
    deliver_due()
    assert timeouts() == 4


@pytest.mark.parametrize("answer", [response(200), response(500), None])
def test_any_answer_starts_the_count_over(sink, endpoint_at, happen, answer):
    endpoint = endpoint_at(sink.url())
    Endpoint.objects.filter(pk=endpoint.pk).update(failures_in_a_row=4)
    sink.answers["/hook"] = answer
    happen()
    deliver_due()
    assert timeouts() == 0


def test_an_endpoint_without_timeouts_is_not_written(sink, endpoint_at, happen):
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
    assert len(claim(5)) == 5
    Endpoint.objects.filter(pk=endpoint.pk).update(failures_in_a_row=PROBED_FROM)
    assert claim(100) == []  # the probe is one of those in flight already
    Delivery.objects.filter(status="attempting").update(status="success", next_attempt_at=None)
    assert len(claim(100)) == 1
    assert claim(100) == []


def test_what_waits_for_the_probe_uses_no_attempts_up(
    sink, endpoint_at, happen, dispatching, settings, make_due
):
    settings.WEBHOOK_TIMEOUT = 0.3
    endpoint = endpoint_at(sink.url())
    Endpoint.objects.filter(pk=endpoint.pk).update(failures_in_a_row=PROBED_FROM)
    sink.answers["/hook"] = _silence
    happen(count=4)
    deliver_due()
    tries = list(Attempt.objects.order_by("at"))
    assert [attempt.error for attempt in tries] == ["timeout"] * 4
    for one, following in pairwise(tries):
        assert following.at >= one.at + timedelta(milliseconds=one.duration_ms)
    assert list(Delivery.objects.values_list("attempts", flat=True)) == [1] * 4

    sink.answers["/hook"] = sink.hold
    make_due()
    with dispatching():
        sink.wait_for(5)
        waiting = Delivery.objects.filter(status="pending")
        assert list(waiting.values_list("attempts", "last_error")) == [(1, "timeout")] * 3
        sink.release()
    assert set(Delivery.objects.values_list("status", "attempts")) == {("success", 2)}


def test_a_probe_that_is_answered_ends_the_probing(sink, endpoint_at, happen, dispatching):
    endpoint = endpoint_at(sink.url())
    Endpoint.objects.filter(pk=endpoint.pk).update(failures_in_a_row=PROBED_FROM + 3)
    answers = iter([response(500)])

    async def answer(request):
        return next(answers, None) or await sink.hold(request)

    sink.answers["/hook"] = answer
    happen(count=10)
    with dispatching():
        sink.wait_for(10)
        sink.release()
    assert sink.most_at_once == {"/hook": 9}
    assert timeouts() == 0


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
            assert len(claim(15)) == 15  # not visible to others yet
            second = elsewhere.submit(claim, 100)
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
    yield draining.stopping
    draining.stopping.clear()


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
