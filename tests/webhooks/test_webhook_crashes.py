"""Crashed dispatchers and an unavailable database delay deliveries but lose none."""

import os
import signal
import subprocess
import sys
import time

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.db.models.functions import Now

from core.queue.work import MAX_CRASHES
from tests.clients import wait_until
from tests.database import make_due
from tests.factories import delivery_result
from webhooks.dispatch import loop, results
from webhooks.dispatch.claim import claim as claim_with_share
from webhooks.dispatch.claim import lease_time
from webhooks.dispatch.loop import deliver_due
from webhooks.dispatch.results import Result, record
from webhooks.models import Attempt, Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

DISPATCHER = """
import django
django.setup()
from webhooks.dispatch.loop import deliver_due
deliver_due()
"""


@pytest.fixture
def start():
    """Start a process that uses the test database."""
    started = []

    def run(*argv):
        url, question, query = os.environ["DATABASE_URL"].partition("?")
        url = url.rpartition("/")[0] + "/" + connection.settings_dict["NAME"] + question + query
        process = subprocess.Popen([sys.executable, *argv], env=os.environ | {"DATABASE_URL": url})
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def claim(limit, share=20):
    return claim_with_share(limit, share=share)


def test_deliveries_of_a_killed_dispatcher_are_sent_after_the_lease(
    sink, endpoint_at, publish_events, start
):
    endpoint_at(sink.url())
    sink.answers["/hook"] = sink.hold
    publish_events(count=3)
    process = start("-c", DISPATCHER)
    sink.wait_for(3, timeout=20)
    process.send_signal(signal.SIGKILL)
    process.wait()
    sink.answers.clear()
    leased = Delivery.objects.annotate(wait=F("next_attempt_at") - Now())
    assert {delivery.status for delivery in leased} == {"attempting"}
    assert {20 < delivery.wait.total_seconds() <= 60 for delivery in leased} == {True}
    assert deliver_due().claimed == 0  # still leased

    make_due(Delivery.objects.filter(status="attempting"))
    assert deliver_due().claimed == 3
    assert set(Delivery.objects.values_list("status", "attempts")) == {("success", 1)}
    assert [got.header("X-Attempt") for got in sink.received] == ["1"] * 6
    assert len({got.header("webhook-id") for got in sink.received}) == 3


def test_on_sigterm_a_worker_finishes_its_requests_and_claims_no_more(
    sink, endpoint_at, publish_events, start
):
    endpoint_at(sink.url())
    sink.answers["/hook"] = sink.hold
    worker = ["-m", "celery", "--quiet", "-A", "opensend", "worker", "--pool", "solo"]
    process = start(*worker, "-Q", "webhooks", "--without-gossip", "--without-mingle")
    publish_events(count=30)
    sink.wait_for(20, timeout=30)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)  # let the worker handle the signal
    sink.release()
    assert process.wait(timeout=20) == 0
    assert len(sink.received) == 20
    assert Delivery.objects.filter(status="success", attempts=1).count() == 20
    assert Delivery.objects.filter(status="pending", attempts=0).count() == 10


def test_a_result_after_the_lease_changes_nothing(sink, endpoint_at, publish_events, dispatching):
    endpoint_at(sink.url())
    sink.answers["/hook"] = sink.hold
    publish_events()
    with dispatching():
        sink.wait_for(1)
        make_due(Delivery.objects.filter(status="attempting"))
        [job] = claim(10)  # by another worker
        sink.release()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.claims) == ("attempting", job.delivery.claims)
    assert not Attempt.objects.exists()


def test_a_delivery_that_repeatedly_crashes_dispatchers_fails(sink, endpoint_at, publish_events):
    endpoint_at(sink.url())
    publish_events()
    for _ in range(MAX_CRASHES):
        assert len(claim(10)) == 1  # and the dispatcher crashed
        make_due(Delivery.objects.filter(status="attempting"))
    publish_events()
    assert deliver_due().claimed == 1
    assert sorted(Delivery.objects.values_list("status", "last_error")) == [
        ("failed", "dispatcher_died"),
        ("success", ""),
    ]


@pytest.fixture(autouse=True)
def _short_retry_delay(monkeypatch):
    monkeypatch.setattr(loop, "DB_RETRY_DELAY", 0.05)


@pytest.fixture
def break_connection(monkeypatch):
    """Terminate the dispatcher's connection on the server, the given number of times."""
    original = results._record_batch

    def arrange(times):
        remaining = iter(range(times))

        def write(results):
            if results and next(remaining, None) is not None:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            original(results)

        monkeypatch.setattr(results, "_record_batch", write)

    return arrange


@pytest.mark.parametrize("times", [1, 3])
def test_results_are_recorded_when_the_database_is_available_again(
    sink, endpoint_at, publish_events, break_connection, times, caplog
):
    endpoint_at(sink.url())
    publish_events(count=5)
    break_connection(times)
    assert deliver_due().claimed == 5
    assert len(sink.received) == 5  # no request was repeated
    assert set(Delivery.objects.values_list("status", "attempts")) == {("success", 1)}
    assert Attempt.objects.count() == 5


def test_if_the_database_stays_unavailable_the_dispatcher_ends_and_leases_expire(
    sink, endpoint_at, publish_events, break_connection, monkeypatch, settings, caplog
):
    endpoint_at(sink.url())
    publish_events(count=2)
    break_connection(1000)
    monkeypatch.setattr(loop, "still_leased", lambda results: [])
    with pytest.raises(OperationalError):
        deliver_due()
    assert set(Delivery.objects.values_list("status", flat=True)) == {"attempting"}
    monkeypatch.undo()
    make_due(Delivery.objects.filter(status="attempting"))
    assert deliver_due().claimed == 2
    assert set(Delivery.objects.values_list("status", flat=True)) == {"success"}


def test_results_are_kept_no_longer_than_the_lease(endpoint_at, publish_events):
    endpoint_at("https://hooks.example.com/")
    publish_events(count=2)
    fresh, stale = (delivery_result(job) for job in claim(2))
    stale = Result(stale.job, stale.outcome, at=stale.at - lease_time())
    assert results.still_leased([fresh, stale]) == [fresh]


def test_a_failing_claim_does_not_affect_requests_in_flight(
    sink, endpoint_at, publish_events, monkeypatch, dispatching, caplog
):
    endpoint_at(sink.url())
    sink.answers["/hook"] = sink.hold
    publish_events(count=2)
    broken = iter([False, True, True, True])

    def claim_or_fail(limit, share):
        if next(broken, False):
            raise OperationalError("the server closed the connection")
        return claim(limit, share)

    monkeypatch.setattr(loop, "claim", claim_or_fail)
    with dispatching():
        sink.wait_for(2)
        publish_events()
        sink.wait_for(3)
        sink.release()
    assert set(Delivery.objects.values_list("status", "attempts")) == {("success", 1)}


def test_a_dispatcher_that_cannot_start_raises(endpoint_at, publish_events, monkeypatch):
    def fail(limit, share):
        raise OperationalError("the server is starting up")

    monkeypatch.setattr(loop, "claim", fail)
    with pytest.raises(OperationalError):
        deliver_due()


def test_a_dispatcher_leaves_no_connection_behind(sink, endpoint_at, publish_events):
    endpoint_at(sink.url())
    publish_events(count=3)
    deliver_due()
    # A backend ends shortly after its client.
    wait_until(lambda: not _connections(), seconds=5, what="the end of all other sessions")


def _connections():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT query FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cursor.fetchall()


def test_one_result_that_cannot_be_recorded_does_not_lose_the_others(
    endpoint_at, publish_events, caplog
):
    endpoint_at("https://hooks.example.com/")
    publish_events(count=3)
    jobs = claim(3)
    record(
        [delivery_result(jobs[0]), delivery_result(jobs[1], status=10**9), delivery_result(jobs[2])]
    )
    by_id = dict(Delivery.objects.values_list("pk", "status"))
    assert [by_id[job.delivery.pk] for job in jobs] == ["success", "attempting", "success"]
    assert Attempt.objects.count() == 2


def test_recording_results_twice_creates_one_attempt_each(endpoint_at, publish_events):
    """A connection can break between the commit and its confirmation."""
    endpoint_at("https://hooks.example.com/")
    publish_events(count=2)
    results = [delivery_result(job, status=500) for job in claim(2)]
    record(results)
    record(results)
    assert sorted(Attempt.objects.values_list("number", flat=True)) == [1, 1]
    assert set(Delivery.objects.values_list("status", "attempts")) == {("pending", 1)}


@pytest.mark.parametrize("count", [1, 30])
def test_recording_results_takes_a_constant_number_of_statements(
    endpoint_at, publish_events, count, django_assert_num_queries
):
    for _ in range(2):
        endpoint_at("https://hooks.example.com/")
    Endpoint.objects.update(failures_in_a_row=1)
    publish_events(count=count)
    results = [delivery_result(job) for job in claim(count)]
    # begin, endpoints, deliveries, attempts, hours, commit
    with django_assert_num_queries(6):
        record(results)


@pytest.mark.parametrize("count", [1, 30])
def test_claiming_takes_a_constant_number_of_statements(
    endpoint_at, publish_events, count, django_assert_num_queries
):
    endpoint_at("https://hooks.example.com/")
    endpoint_at("https://hooks.example.com/")
    publish_events(count=count)
    with django_assert_num_queries(6):  # begin, lock, claim, endpoints, commit, events
        assert len(claim(1000)) == min(count, 20) * 2
