"""A test event: what an endpoint makes of a request, asked for and answered at once."""

import json

import pytest
from event_schemas import check
from receiving_end import response
from standardwebhooks import Webhook

from core.db.ids import uuid7
from events.catalogue import CATALOGUE
from events.models import Event
from webhooks.dispatch.loop import deliver_due
from webhooks.fanout import DELIVER
from webhooks.health import PROBED_FROM
from webhooks.models import Attempt, Delivery, Endpoint, EndpointHour
from webhooks.services import update_endpoint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint(endpoint_at, sink):
    return endpoint_at(sink.url(), ["contact.created"])


@pytest.fixture
def ask(api, endpoint):
    """Ask for a test event as Alice; the answer's body."""

    def post(**body):
        answer = api.post(f"/webhooks/{endpoint.pk}/test", body, "json")
        assert answer.status_code == 200, answer.json()
        return answer.json()

    return post


def test_a_sample_is_sent_and_signed_like_any_event(endpoint, ask, sink):
    sink.answers["/hook"] = response(202, b"thanks")
    update_endpoint(endpoint, {"headers": {"X-Tenant": "alice"}})
    told = ask()
    [got] = sink.received
    body = json.loads(got.body)
    latency = told.pop("latency_ms")
    assert (latency >= 0, type(latency)) == (True, int)
    assert told == {
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


def test_each_sample_is_an_event_of_its_own(ask):
    assert ask()["id"] != ask()["id"]


@pytest.mark.parametrize("kind", sorted(CATALOGUE))
def test_every_type_has_a_sample_that_is_one(endpoint, ask, sink, kind):
    floor = uuid7()
    told = ask(type=kind)
    [got] = sink.received
    body = json.loads(got.body)
    check(body)
    assert body.get("type", body.get("event")) == told["type"] == kind
    assert body.get("id", body.get("event_id")) == told["id"] > f"whd_{floor}"
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
def test_what_goes_wrong_is_told(ask, sink, answer, status_code, error, shown):
    sink.answers["/hook"] = answer
    told = ask()
    assert told["succeeded"] is False
    assert (told["status_code"], told["error"]) == (status_code, error)
    assert told["response"] == shown
    assert bool(told["message"]) == (status_code is None)


def test_an_endpoint_that_hangs_is_given_up_after_the_time_of_any_delivery(ask, sink, settings):
    settings.WEBHOOK_TIMEOUT = 0.2
    sink.answers["/hook"] = sink.hold
    told = ask()
    assert (told["succeeded"], told["error"]) == (False, "timeout")
    assert 150 <= told["latency_ms"] < 5000
    sink.release()


def test_an_address_that_became_unsafe_is_not_called(ask, sink, settings):
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    assert ask()["error"] == "unsafe_address"
    assert sink.received == []


def test_nothing_is_kept_of_it(endpoint, ask, sink):
    before = Endpoint.objects.values().get()
    ask()
    sink.answers["/hook"] = response(500)
    ask()
    assert Endpoint.objects.values().get() == before
    for model in (Event, Delivery, Attempt, EndpointHour):
        assert not model.objects.exists()


def test_a_disabled_endpoint_gets_it_too_and_nothing_else(endpoint, ask, sink, happen):
    update_endpoint(endpoint, {"status": "disabled"})
    happen()
    assert ask()["succeeded"] is True
    assert deliver_due() == 0
    assert len(sink.received) == 1


@pytest.fixture
def probed(endpoint, happen, sink):
    """It has failed time and again, and an event waits for the next probe."""
    sink.answers["/hook"] = response(500)
    happen(count=PROBED_FROM)
    deliver_due()
    sink.received.clear()
    happen()
    assert deliver_due() == 0
    return endpoint


def test_what_waits_for_a_probe_goes_after_a_success(probed, ask, sink, monkeypatch):
    hints = []
    monkeypatch.setattr("core.queue.wake.hint", hints.append)
    sink.answers.clear()
    assert ask()["succeeded"] is True
    assert DELIVER in hints
    assert deliver_due() >= 1
    probed.refresh_from_db()
    assert probed.failures_in_a_row == 0


def test_it_goes_on_waiting_after_a_failure(probed, ask):
    assert ask()["succeeded"] is False
    assert deliver_due() == 0


@pytest.mark.parametrize("kind", ["webhook.tests", "*", "email.*", ""])
def test_what_is_no_type_is_refused_by_name(api, endpoint, sink, kind):
    answer = api.post(f"/webhooks/{endpoint.pk}/test", {"type": kind}, "json")
    assert answer.status_code == 422
    assert answer.json()["details"]["fields"] == {"type": f"`{kind}` is not an event type"}
    assert sink.received == []


def test_a_request_without_a_body_is_one_for_the_usual_type(api, endpoint):
    answer = api.post(f"/webhooks/{endpoint.pk}/test")
    assert (answer.status_code, answer.json()["type"]) == (200, "webhook.test")


def test_strangers_test_nothing(stranger, endpoint, sink):
    assert stranger.post(f"/webhooks/{endpoint.pk}/test").status_code == 404
    assert sink.received == []
