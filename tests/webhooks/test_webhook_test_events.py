"""Test events: sent immediately, with the endpoint's response as the result."""

import json

import pytest
from standardwebhooks import Webhook

from core.db.ids import uuid7
from events.catalogue import CATALOGUE
from events.models import Event
from tests.event_schemas import check
from tests.webhooks.webhook_sink import response
from webhooks import queues
from webhooks.dispatch.loop import deliver_due
from webhooks.health import PROBE_AFTER
from webhooks.models import Attempt, Delivery, Endpoint, EndpointHour
from webhooks.services import update_endpoint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint(endpoint_at, sink):
    return endpoint_at(sink.url(), ["contact.created"])


@pytest.fixture
def send_test(api, endpoint):
    """Send a test event as Alice; returns the response body."""

    def post(**body):
        answer = api.post(f"/webhooks/{endpoint.pk}/test", body, "json")
        assert answer.status_code == 200, answer.json()
        return answer.json()

    return post


def test_a_test_event_is_sent_and_signed_like_any_event(endpoint, send_test, sink):
    sink.answers["/hook"] = response(202, b"thanks")
    update_endpoint(endpoint, {"headers": {"X-Tenant": "alice"}})
    result = send_test()
    [got] = sink.received
    body = json.loads(got.body)
    latency = result.pop("latency_ms")
    assert (latency >= 0, type(latency)) == (True, int)
    assert result == {
        "object": "webhook_test",
        "id": body["id"],
        "type": "webhook.test",
        "succeeded": True,
        "status_code": 202,
        "error": None,
        "message": "",
        "response": "thanks",
    }
    headers = {name: got.header(name) for name in got.headers}
    Webhook(endpoint.signing_secret).verify(got.body, headers)
    assert (got.header("X-Attempt"), got.header("X-Event-Id")) == ("1", body["id"])
    assert got.header("X-Tenant") == "alice"
    assert (body["type"], body["data"]["webhook_id"]) == ("webhook.test", str(endpoint.pk))


def test_each_test_event_has_its_own_id(send_test):
    assert send_test()["id"] != send_test()["id"]


@pytest.mark.parametrize("kind", sorted(CATALOGUE))
def test_every_type_has_a_valid_test_event(endpoint, send_test, sink, kind):
    floor = uuid7()
    result = send_test(type=kind)
    [got] = sink.received
    body = json.loads(got.body)
    check(body)
    assert body.get("type", body.get("event")) == result["type"] == kind
    assert body.get("id", body.get("event_id")) == result["id"] > f"whd_{floor}"
    at = body["created_at"] if "type" in body else body["occurred_at"]
    assert at > "2026-05-11"  # not the example's own time


@pytest.mark.parametrize(
    ("answer", "status_code", "error", "shown"),
    [
        (response(500, b"oops \x00" + b"x" * 5000), 500, "http_500", "oops \ufffd" + "x" * 994),
        (response(302, Location="/elsewhere"), 302, "http_302", ""),
        (None, None, "connection_error", ""),
    ],
)
def test_failures_are_reported(send_test, sink, answer, status_code, error, shown):
    sink.answers["/hook"] = answer
    result = send_test()
    assert result["succeeded"] is False
    assert (result["status_code"], result["error"]) == (status_code, error)
    assert result["response"] == shown
    assert bool(result["message"]) == (status_code is None)


def test_a_hanging_endpoint_times_out_like_any_delivery(send_test, sink, settings):
    settings.WEBHOOK_TIMEOUT = 0.2
    sink.answers["/hook"] = sink.hold
    result = send_test()
    assert (result["succeeded"], result["error"]) == (False, "timeout")
    assert 150 <= result["latency_ms"] < 5000
    sink.release()


def test_an_address_that_became_unsafe_is_not_called(send_test, sink, settings):
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    assert send_test()["error"] == "unsafe_address"
    assert sink.received == []


def test_a_test_event_is_not_stored(endpoint, send_test, sink):
    before = Endpoint.objects.values().get()
    send_test()
    sink.answers["/hook"] = response(500)
    send_test()
    assert Endpoint.objects.values().get() == before
    for model in (Event, Delivery, Attempt, EndpointHour):
        assert not model.objects.exists()


def test_a_disabled_endpoint_gets_test_events_but_no_deliveries(
    endpoint, send_test, sink, publish_events
):
    update_endpoint(endpoint, {"status": "disabled"})
    publish_events()
    assert send_test()["succeeded"] is True
    assert deliver_due().claimed == 0
    assert len(sink.received) == 1


@pytest.fixture
def half_open_endpoint(endpoint, publish_events, sink):
    """A half-open endpoint with an event that waits for the next probe."""
    sink.answers["/hook"] = response(500)
    publish_events(count=PROBE_AFTER)
    deliver_due()
    sink.received.clear()
    publish_events()
    assert deliver_due().claimed == 0
    return endpoint


def test_a_successful_test_event_makes_the_next_probe_due(
    half_open_endpoint, send_test, sink, hinted
):
    sink.answers.clear()
    assert send_test()["succeeded"] is True
    assert queues.DELIVER.task in hinted
    assert deliver_due().claimed >= 1
    half_open_endpoint.refresh_from_db()
    assert half_open_endpoint.failures_in_a_row == 0


def test_a_failed_test_event_does_not_make_the_next_probe_due(half_open_endpoint, send_test):
    assert send_test()["succeeded"] is False
    assert deliver_due().claimed == 0


@pytest.mark.parametrize("kind", ["webhook.tests", "*", "email.*", ""])
def test_an_unknown_type_is_refused(api, endpoint, sink, kind):
    answer = api.post(f"/webhooks/{endpoint.pk}/test", {"type": kind}, "json")
    assert answer.status_code == 422
    assert answer.json()["details"]["fields"] == {"type": f"`{kind}` is not an event type"}
    assert sink.received == []


def test_a_request_without_a_body_sends_webhook_test(api, endpoint):
    answer = api.post(f"/webhooks/{endpoint.pk}/test")
    assert (answer.status_code, answer.json()["type"]) == (200, "webhook.test")


def test_strangers_get_404(stranger, endpoint, sink):
    assert stranger.post(f"/webhooks/{endpoint.pk}/test").status_code == 404
    assert sink.received == []
