"""Endpoint health: consecutive failures, notices, automatic disabling, and hourly counts."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.models import Event
from tests.webhooks.webhook_sink import response
from webhooks import health
from webhooks.dispatch.loop import deliver_due
from webhooks.health import DISABLED_AFTER, NOTIFY_AFTER, PROBE_AFTER, RequestResult
from webhooks.models import Attempt, Delivery, Endpoint, EndpointHour

pytestmark = pytest.mark.django_db(transaction=True)

BEGAN = datetime(2026, 5, 10, 12, tzinfo=UTC)
# Status and reason of a result.
KINDS = {
    "success": (204, ""),
    "refused": (None, "connection_refused"),
    "cut off": (200, "connection_error"),
    "500": (500, "http_500"),
    "429": (429, "http_429"),
    "404": (404, "http_404"),
    "302": (302, "http_302"),
}
UNAVAILABLE = {"refused", "cut off", "500", "429"}


@pytest.fixture
def endpoint(endpoint_at):
    return endpoint_at("https://hooks.example.com/")


def result(endpoint, kind, at=0, ms=10):
    status, reason = KINDS[kind]
    return RequestResult(endpoint, BEGAN + timedelta(seconds=at), status, reason, ms)


def expected(kinds):
    """The consecutive failures at the end, and the first failure since the last success."""
    in_a_row, since = 0, None
    for at, kind in enumerate(kinds):
        in_a_row = in_a_row + 1 if kind in UNAVAILABLE else 0
        since = None if kind == "success" else since or BEGAN + timedelta(seconds=at)
    return in_a_row, since


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), max_size=20),
    cuts=st.sets(st.integers(1, 19)),
    shuffle=st.randoms(use_true_random=False),
)
def test_results_add_up_to_the_same_in_any_batches(endpoint, kinds, cuts, shuffle):
    Endpoint.objects.update(failures_in_a_row=0, failing_since=None, probe_at=None)
    edges = [0, *sorted(cut for cut in cuts if cut < len(kinds)), len(kinds)]
    for start, end in pairwise(edges):
        endpoint.refresh_from_db()
        batch = [result(endpoint, kinds[at], at) for at in range(start, end)]
        shuffle.shuffle(batch)  # results are recorded in the order in which requests end
        health.update_health(batch)
    endpoint.refresh_from_db()
    assert (endpoint.failures_in_a_row, endpoint.failing_since) == expected(kinds)
    assert (endpoint.probe_at is not None) == (endpoint.failures_in_a_row >= PROBE_AFTER)


def test_a_success_clears_failing_since_and_failing_notified_at(endpoint):
    now = timezone.now()
    Endpoint.objects.update(failures_in_a_row=9, failing_since=now, failing_notified_at=now)
    endpoint.refresh_from_db()
    health.update_health([result(endpoint, "success")])
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None
    assert endpoint.failing_notified_at is None


@pytest.fixture
def failing(sink, endpoint_at, publish_events):
    """An endpoint that has been failing for `duration`, with one due event, and another one."""
    other = endpoint_at(sink.url("other"), ["webhook.*"])

    def make(duration, notified_at=None, status=500):
        endpoint = endpoint_at(sink.url("broken"))
        sink.answers["/broken"] = response(status)
        since = timezone.now() - duration
        endpoints = Endpoint.objects.filter(pk=endpoint.pk)
        endpoints.update(failing_since=since, failing_notified_at=notified_at)
        publish_events()
        return endpoint, other

    return make


def notices(sink, publish_events):
    """The webhook.* events of the other endpoint, as (type, data)."""
    publish_events(count=0)
    deliver_due()
    return [
        (event.type, event.data())
        for event in Event.objects.filter(type__startswith="webhook.").order_by("pk")
        if Delivery.objects.filter(event=event, endpoint__url=sink.url("other")).exists()
    ]


def test_a_day_of_failures_notifies_the_other_endpoints_once(
    sink, failing, publish_events, make_due
):
    endpoint, _ = failing(NOTIFY_AFTER + timedelta(minutes=1))
    deliver_due()
    [(kind, data)] = notices(sink, publish_events)
    assert kind == "webhook.failing"
    assert data["webhook_id"] == str(endpoint.pk)
    assert (data["endpoint"], data["last_error"]) == (endpoint.url, "http_500")
    assert data["last_status_code"] == 500
    assert not Delivery.objects.filter(endpoint=endpoint, event__type="webhook.failing").exists()
    make_due()
    deliver_due()
    assert len(notices(sink, publish_events)) == 1
    endpoint.refresh_from_db()
    assert endpoint.status == "enabled"


def test_less_than_a_day_of_failures_is_not_notified(sink, failing, publish_events):
    failing(NOTIFY_AFTER - timedelta(minutes=1))
    deliver_due()
    assert notices(sink, publish_events) == []


def test_five_days_without_a_success_disable_the_endpoint(sink, failing, publish_events):
    endpoint, _ = failing(DISABLED_AFTER + timedelta(minutes=1), notified_at=timezone.now())
    deliver_due()
    [(kind, data)] = notices(sink, publish_events)
    assert kind == "webhook.disabled"
    assert data["reason"] == "No success for 5 days; the last request ended in http_500"
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.disabled_reason) == ("disabled", data["reason"])
    assert endpoint.disabled_at is not None


def test_a_success_after_five_days_keeps_the_endpoint_enabled(sink, failing, publish_events):
    endpoint, _ = failing(DISABLED_AFTER + timedelta(minutes=1), status=200)
    deliver_due()
    assert notices(sink, publish_events) == []
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.failing_since) == ("enabled", None)


def test_410_disables_the_endpoint_immediately(sink, failing, publish_events):
    endpoint, _ = failing(timedelta(), status=410)
    assert deliver_due().claimed == 1
    [(kind, data)] = notices(sink, publish_events)
    assert (kind, data["reason"]) == ("webhook.disabled", "The endpoint answered 410 Gone")
    delivery = Delivery.objects.get(endpoint=endpoint)
    assert (delivery.status, delivery.last_error) == ("failed", "http_410")
    publish_events()
    assert deliver_due().claimed == 0


def test_disabling_and_its_notice_commit_together(endpoint, monkeypatch):
    Endpoint.objects.update(failing_since=timezone.now() - DISABLED_AFTER)

    def fail(facts):
        raise ZeroDivisionError

    monkeypatch.setattr(health, "publish", fail)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        health.notify_or_disable([result(endpoint, "500")])
    endpoint.refresh_from_db()
    assert endpoint.status == "enabled"


def test_hourly_counts_add_up(sink, endpoint_at, publish_events):
    endpoint = endpoint_at(sink.url())
    publish_events(count=3)
    deliver_due()
    sink.answers["/hook"] = response(404)
    publish_events(count=2)
    deliver_due()
    hour = EndpointHour.objects.get()
    durations = list(Attempt.objects.values_list("duration_ms", flat=True))
    assert (hour.endpoint_id, hour.succeeded, hour.failed) == (endpoint.pk, 3, 2)
    assert (hour.total_ms, hour.slowest_ms) == (sum(durations), max(durations))
    assert hour.hour <= timezone.now() < hour.hour + timedelta(hours=1, minutes=1)


def test_each_hour_is_counted_separately(endpoint):
    hours = [result(endpoint, "success", at, ms) for at, ms in [(0, 5), (3599, 7), (3600, 11)]]
    health.count_hours(hours)
    health.count_hours(hours[:1])
    found = EndpointHour.objects.order_by("hour").values_list("hour", "succeeded", "total_ms")
    assert list(found) == [(BEGAN, 3, 17), (BEGAN + timedelta(hours=1), 1, 11)]
