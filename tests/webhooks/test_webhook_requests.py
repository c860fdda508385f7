"""The request that a customer's server receives, and its signatures."""

import base64
import hashlib
import hmac
import re
import time

import orjson
import pytest
import resend
import standardwebhooks
import svix.webhooks

from events.truncation import LIMIT
from tests.webhooks.webhook_sink import response
from webhooks.dispatch.loop import deliver_due
from webhooks.dispatch.signing import Key
from webhooks.models import Attempt, Delivery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def delivered(sink, endpoint_at, publish_events):
    """(endpoint, event, received request)"""
    endpoint = endpoint_at(sink.url())
    [event] = publish_events(first_name="Åsa 🎈", last_name='\x00 \u2028 "quoted" </script>')
    assert deliver_due().claimed == 1
    [request] = sink.received
    return endpoint, event, request


def by_svix(secret, headers, body):
    svix.webhooks.Webhook(secret).verify(body, headers)


def by_standardwebhooks(secret, headers, body):
    standardwebhooks.Webhook(secret).verify(body, headers)


def by_resend(secret, headers, body):
    named = {name: headers[f"svix-{name}"] for name in ("id", "timestamp", "signature")}
    resend.Webhooks.verify({"payload": body.decode(), "headers": named, "webhook_secret": secret})


def by_hand(secret, headers, body):
    signed = headers["X-Timestamp"].encode() + b"." + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, headers["X-Signature"]):
        raise ValueError("another signature")


VERIFIERS = [by_svix, by_standardwebhooks, by_resend, by_hand]


@pytest.mark.parametrize("verify", VERIFIERS)
def test_receivers_can_verify_the_raw_body(delivered, verify):
    endpoint, _, request = delivered
    verify(endpoint.signing_secret, request.headers, request.body)

    flipped = request.body.replace(b"quoted", b"quotee")
    assert len(flipped) == len(request.body)
    with pytest.raises(Exception, match=r"(?i)signature"):
        verify(endpoint.signing_secret, request.headers, flipped)
    with pytest.raises(Exception, match=r"(?i)signature"):
        verify(Key.new().secret, request.headers, request.body)


def test_the_webhook_headers_verify_without_the_svix_headers(delivered):
    endpoint, _, request = delivered
    kept = {name: value for name, value in request.headers.items() if "svix" not in name}
    by_standardwebhooks(endpoint.signing_secret, kept, request.body)


def test_all_documented_headers_are_sent(delivered):
    _, event, request = delivered
    assert request.header("X-Event-Id") == f"whd_{event.pk}" == orjson.loads(request.body)["id"]
    assert request.header("webhook-id") == request.header("svix-id") == f"whd_{event.pk}"
    at = request.header("X-Timestamp")
    assert request.header("webhook-timestamp") == request.header("svix-timestamp") == at
    assert abs(time.time() - int(at)) < 30
    assert request.header("webhook-signature") == request.header("svix-signature")
    version, _, signature = request.header("webhook-signature").partition(",")
    assert version == "v1"
    assert len(base64.b64decode(signature, validate=True)) == 32
    assert re.fullmatch("[0-9a-f]{64}", request.header("X-Signature"))
    assert request.header("X-Attempt") == "1"
    assert request.header("Content-Type") == "application/json"
    assert re.fullmatch(r"OpenSend-Webhooks/\d+\.\d+\.\d+", request.header("User-Agent"))
    assert request.header("Content-Length") == str(len(request.body))


def test_the_secret_is_whsec_and_32_bytes_in_standard_base64(delivered):
    endpoint, _, _ = delivered
    prefix, _, encoded = endpoint.signing_secret.partition("_")
    assert prefix == "whsec"
    assert len(base64.b64decode(encoded, validate=True)) == 32


def test_the_stored_bytes_are_sent_in_every_attempt(sink, endpoint_at, publish_events, make_due):
    sink.answers["/hook"] = response(500)
    endpoint = endpoint_at(sink.url())
    [event] = publish_events(first_name="Åsa 🎈", last_name="\x00")
    for _ in range(3):
        deliver_due()
        make_due()
    assert [request.body for request in sink.received] == [event.body.encode()] * 3
    assert [request.header("X-Attempt") for request in sink.received] == ["1", "2", "3"]
    assert len({request.header("webhook-id") for request in sink.received}) == 1
    for request in sink.received:
        by_svix(endpoint.signing_secret, request.headers, request.body)


def test_all_endpoints_get_the_same_body_with_their_own_signature(
    sink, endpoint_at, publish_events
):
    endpoints = {f"/{name}": endpoint_at(sink.url(name)) for name in "ab"}
    publish_events()
    deliver_due()
    assert len({request.body for request in sink.received}) == 1
    assert len({request.header("webhook-signature") for request in sink.received}) == 2
    for request in sink.received:
        by_svix(endpoints[request.path].signing_secret, request.headers, request.body)


def test_a_body_at_the_size_limit_arrives_whole(sink, endpoint_at, publish_events):
    endpoint = endpoint_at(sink.url())
    [event] = publish_events(first_name="x" * (LIMIT - 500))
    deliver_due()
    [request] = sink.received
    assert request.body == event.body.encode()
    assert LIMIT - 500 < len(request.body) <= LIMIT
    by_standardwebhooks(endpoint.signing_secret, request.headers, request.body)


def test_the_path_and_query_of_the_url_are_kept(sink, endpoint_at, publish_events):
    endpoint_at(sink.url("a%2Fb/?key=x%20y&z=/?"))
    publish_events()
    deliver_due()
    assert sink.received[0].path == "/a%2Fb/?key=x%20y&z=/?"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(sink, endpoint_at, publish_events, status):
    sink.answers["/hook"] = response(status)
    endpoint_at(sink.url())
    publish_events()
    deliver_due()
    delivery, attempt = Delivery.objects.get(), Attempt.objects.get()
    assert (delivery.status, delivery.attempts, delivery.next_attempt_at) == ("success", 1, None)
    assert (delivery.last_status_code, delivery.last_error) == (status, "")
    assert (attempt.number, attempt.status_code, attempt.error) == (1, status, "")
    assert attempt.address == "127.0.0.1"
    assert deliver_due().claimed == 0
