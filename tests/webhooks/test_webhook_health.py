"""What is known of an endpoint: trouble in a row, failing for long, and its hours."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from receiving_end import response

from events.models import Event
from webhooks import health
from webhooks.dispatch.loop import deliver_due
from webhooks.health import DISABLED_AFTER, PROBED_FROM, TOLD_AFTER, Answer
from webhooks.models import Attempt, Delivery, Endpoint, EndpointHour

pytestmark = pytest.mark.django_db(transaction=True)

BEGAN = datetime(2026, 5, 10, 12, tzinfo=UTC)
# Status and reason, as a result has them.
KINDS = {
    "success": (204, ""),
    "refused": (None, "connection_refused"),
    "cut off": (200, "connection_error"),
    "500": (500, "http_500"),
    "429": (429, "http_429"),
    "404": (404, "http_404"),
    "302": (302, "http_302"),
}
TROUBLE = {"refused", "cut off", "500", "429"}


@pytest.fixture
def endpoint(endpoint_at):
    return endpoint_at("https://hooks.example.com/")


def answer(endpoint, kind, at=0, ms=10):
    status, reason = KINDS[kind]
    return Answer(endpoint, BEGAN + timedelta(seconds=at), status, reason, ms)


def expected(kinds):
    """Trouble in a row at the end, and when the failures since the last success began."""
    in_a_row, since = 0, None
    for at, kind in enumerate(kinds):
        in_a_row = in_a_row + 1 if kind in TROUBLE else 0
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
def test_answers_add_up_to_the_same_in_any_batches(endpoint, kinds, cuts, shuffle):
    Endpoint.objects.update(failures_in_a_row=0, failing_since=None, probe_at=None)
    edges = [0, *sorted(cut for cut in cuts if cut < len(kinds)), len(kinds)]
    for start, end in pairwise(edges):
        endpoint.refresh_from_db()
        batch = [answer(endpoint, kinds[at], at) for at in range(start, end)]
        shuffle.shuffle(batch)  # they are told in the order in which they ended
        health.note(batch)
    endpoint.refresh_from_db()
    assert (endpoint.failures_in_a_row, endpoint.failing_since) == expected(kinds)
    assert (endpoint.probe_at is not None) == (endpoint.failures_in_a_row >= PROBED_FROM)


def test_a_success_ends_the_failing_and_what_was_told_of_it(endpoint):
    now = timezone.now()
    Endpoint.objects.update(failures_in_a_row=9, failing_since=now, failing_notified_at=now)
    endpoint.refresh_from_db()
    health.note([answer(endpoint, "success")])
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None
    assert endpoint.failing_notified_at is None


@pytest.fixture
def failing(sink, endpoint_at, happen):
    """An endpoint that answers 500 and has been failing for so long, with one event due."""
    other = endpoint_at(sink.url("other"), ["webhook.*"])

    def make(long, told=None, status=500):
        endpoint = endpoint_at(sink.url("broken"))
        sink.answers["/broken"] = response(status)
        since = timezone.now() - long
        endpoints = Endpoint.objects.filter(pk=endpoint.pk)
        endpoints.update(failing_since=since, failing_notified_at=told)
        happen()
        return endpoint, other

    return make


def heard(sink, happen):
    """What the other endpoint was told, as (type, data)."""
    happen(count=0)
    deliver_due()
    return [
        (event.type, event.data())
        for event in Event.objects.filter(type__startswith="webhook.").order_by("pk")
        if Delivery.objects.filter(event=event, endpoint__url=sink.url("other")).exists()
    ]


def test_a_day_of_failures_is_told_once_and_to_the_others_only(sink, failing, happen, make_due):
    endpoint, _ = failing(TOLD_AFTER + timedelta(minutes=1))
    deliver_due()
    [(kind, data)] = heard(sink, happen)
    assert kind == "webhook.failing"
    assert data["webhook_id"] == str(endpoint.pk)
    assert (data["endpoint"], data["last_error"]) == (endpoint.url, "http_500")
    assert data["last_status_code"] == 500
    assert not Delivery.objects.filter(endpoint=endpoint, event__type="webhook.failing").exists()
    make_due()
    deliver_due()
    assert len(heard(sink, happen)) == 1
    endpoint.refresh_from_db()
    assert endpoint.status == "enabled"


def test_less_than_a_day_is_not_told(sink, failing, happen):
    failing(TOLD_AFTER - timedelta(minutes=1))
    deliver_due()
    assert heard(sink, happen) == []


def test_five_days_without_a_success_switch_it_off(sink, failing, happen):
    endpoint, _ = failing(DISABLED_AFTER + timedelta(minutes=1), told=timezone.now())
    deliver_due()
    [(kind, data)] = heard(sink, happen)
    assert kind == "webhook.disabled"
    assert data["reason"] == "No success for 5 days; the last request ended in http_500"
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.disabled_reason) == ("disabled", data["reason"])
    assert endpoint.disabled_at is not None


def test_five_days_that_end_in_a_success_do_not(sink, failing, happen):
    endpoint, _ = failing(DISABLED_AFTER + timedelta(minutes=1), status=200)
    deliver_due()
    assert heard(sink, happen) == []
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.failing_since) == ("enabled", None)


def test_gone_switches_it_off_at_once(sink, failing, happen):
    endpoint, _ = failing(timedelta(), status=410)
    assert deliver_due() == 1
    [(kind, data)] = heard(sink, happen)
    assert (kind, data["reason"]) == ("webhook.disabled", "The endpoint answered 410 Gone")
    delivery = Delivery.objects.get(endpoint=endpoint)
    assert (delivery.status, delivery.last_error) == ("failed", "http_410")
    happen()
    assert deliver_due() == 0


def test_a_notice_and_what_it_tells_of_commit_together(endpoint, monkeypatch):
    Endpoint.objects.update(failing_since=timezone.now() - DISABLED_AFTER)

    def fail(facts):
        raise ZeroDivisionError

    monkeypatch.setattr(health, "publish", fail)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        health.judge([answer(endpoint, "500")])
    endpoint.refresh_from_db()
    assert endpoint.status == "enabled"


def test_the_hours_add_up(sink, endpoint_at, happen):
    endpoint = endpoint_at(sink.url())
    happen(count=3)
    deliver_due()
    sink.answers["/hook"] = response(404)
    happen(count=2)
    deliver_due()
    hour = EndpointHour.objects.get()
    tries = list(Attempt.objects.values_list("duration_ms", flat=True))
    assert (hour.endpoint_id, hour.succeeded, hour.failed) == (endpoint.pk, 3, 2)
    assert (hour.total_ms, hour.slowest_ms) == (sum(tries), max(tries))
    assert hour.hour <= timezone.now() < hour.hour + timedelta(hours=1, minutes=1)


def test_each_hour_counts_for_itself(endpoint):
    hours = [answer(endpoint, "success", at, ms) for at, ms in [(0, 5), (3599, 7), (3600, 11)]]
    health.count_hours(hours)
    health.count_hours(hours[:1])
    found = EndpointHour.objects.order_by("hour").values_list("hour", "succeeded", "total_ms")
    assert list(found) == [(BEGAN, 3, 17), (BEGAN + timedelta(hours=1), 1, 11)]
