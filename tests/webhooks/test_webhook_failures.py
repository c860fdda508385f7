"""Every failure of a customer's server is recorded in the attempt and retried."""

import asyncio
import ssl
from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from devstack.embedded import free_port
from tests.certificates import self_signed
from tests.webhooks.webhook_sink import Sink, never_respond, response
from webhooks.dispatch import signing
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.services import delete_endpoint, update_endpoint
from webhooks.tasks import clean_up_endpoints

pytestmark = pytest.mark.django_db(transaction=True)


BAD_RESPONSES = {
    "a redirect": (response(302, Location="http://127.0.0.1/"), 302, "http_302"),
    "not modified": (response(304), 304, "http_304"),
    "a bad request": (response(400), 400, "http_400"),
    "not found": (response(404), 404, "http_404"),
    "too many": (response(429), 429, "http_429"),
    "an error": (response(500), 500, "http_500"),
    "unavailable": (response(503), 503, "http_503"),
    "an odd status": (response(999), 999, "http_999"),
    "an early close": (None, None, "connection_error"),
    "a cut body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 200, "connection_error"),
    "garbage": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", None, "invalid_response"),
    "silence": (never_respond, None, "timeout"),
}


@pytest.mark.parametrize("case", BAD_RESPONSES)
def test_a_bad_response_is_stored_and_retried(sink, endpoint_at, publish_events, settings, case):
    settings.WEBHOOK_TIMEOUT = 0.3
    answer, status, error = BAD_RESPONSES[case]
    sink.answers["/hook"] = _then_close(answer) if case == "a cut body" else answer
    endpoint_at(sink.url())
    publish_events()
    assert deliver_due().claimed == 1
    _assert_retry_scheduled(status, error)


def _then_close(answer):
    async def play(request):
        asyncio.get_running_loop().call_later(0.05, asyncio.current_task().cancel)
        return answer

    return play


def _assert_retry_scheduled(status, error):
    attempt = Attempt.objects.get()
    assert (attempt.number, attempt.status_code, attempt.error) == (1, status, error)
    waiting = Delivery.objects.annotate(wait=F("next_attempt_at") - Now()).get()
    assert (waiting.status, waiting.attempts) == ("pending", 1)
    assert (waiting.last_status_code, waiting.last_error) == (status, error)
    assert timedelta(seconds=3) < waiting.wait <= timedelta(seconds=6)
    assert deliver_due().claimed == 0


def test_a_refused_connection(endpoint_at, publish_events):
    endpoint_at(f"http://127.0.0.1:{free_port()}/")
    publish_events()
    deliver_due()
    _assert_retry_scheduled(None, "connection_refused")


def test_a_name_that_does_not_resolve(endpoint_at, publish_events):
    endpoint_at("http://nowhere.invalid:8080/")
    publish_events()
    deliver_due()
    _assert_retry_scheduled(None, "dns_error")


def test_an_untrusted_certificate(endpoint_at, publish_events, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "server.pem"))
    with Sink(tls=context) as sink:
        endpoint_at(sink.url())
        publish_events()
        deliver_due()
        assert sink.received == []
    _assert_retry_scheduled(None, "tls_error")
    assert "certificate" in Attempt.objects.get().message


def test_an_address_that_became_unsafe_is_not_called(sink, endpoint_at, publish_events, settings):
    endpoint_at(sink.url())
    publish_events()
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    deliver_due()
    assert sink.received == []
    _assert_retry_scheduled(None, "unsafe_address")


def test_a_name_that_resolves_to_a_private_address_is_not_called(
    endpoint_at, publish_events, settings, monkeypatch
):
    monkeypatch.setattr("core.outbound.resolver.system_lookup", lambda host: ["10.0.0.7"])
    endpoint_at("http://rebound.example.com/")
    publish_events()
    deliver_due()
    _assert_retry_scheduled(None, "unsafe_address")
    assert "10.0.0.7" in Attempt.objects.get().message


def test_redirects_are_not_followed(sink, endpoint_at, publish_events):
    sink.answers["/hook"] = response(307, Location=sink.url("elsewhere"))
    endpoint_at(sink.url())
    publish_events()
    deliver_due()
    assert sink.paths() == ["hook"]


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"x" * 5000, "x" * 1000),
        ("é".encode() * 1500, "é" * 1000),
        (b"x" * 100_000, "x" * 1000),
        (b"a\x00b", "a\N{REPLACEMENT CHARACTER}b"),
        (b"\xff\xfe ok \xed\xa0\x80", "\ufffd\ufffd ok \ufffd\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_the_start_of_the_response_is_stored(sink, endpoint_at, publish_events, body, kept):
    sink.answers["/hook"] = response(500, body)
    endpoint_at(sink.url())
    publish_events()
    deliver_due()
    assert Attempt.objects.get().response == kept


def test_a_compressed_response_is_not_decompressed(sink, endpoint_at, publish_events):
    sink.answers["/hook"] = response(200, b"\x1f\x8b not gzip", Content_Encoding="gzip")
    endpoint_at(sink.url())
    publish_events()
    deliver_due()
    assert Delivery.objects.get().status == "success"


def test_a_delivery_fails_after_ten_attempts(sink, endpoint_at, publish_events, make_due):
    sink.answers["/hook"] = response(500)
    endpoint_at(sink.url())
    publish_events()
    for _ in range(9):
        assert deliver_due().claimed == 1
        assert Delivery.objects.get().status == "pending"
        make_due()
        Endpoint.objects.update(probe_at=None)
    assert deliver_due().claimed == 1
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.next_attempt_at) == ("failed", 10, None)
    assert [attempt.number for attempt in delivery.attempt_rows.order_by("id")] == list(
        range(1, 11)
    )
    assert deliver_due().claimed == 0


def test_retry_after_is_honoured(sink, endpoint_at, publish_events):
    sink.answers["/hook"] = response(503, Retry_After="8")
    endpoint_at(sink.url())
    publish_events()
    deliver_due()
    waiting = Delivery.objects.annotate(wait=F("next_attempt_at") - Now()).get()
    assert timedelta(seconds=7) < waiting.wait <= timedelta(seconds=8)


def test_success_after_failures(sink, endpoint_at, publish_events, make_due):
    sink.answers["/hook"] = response(500)
    endpoint_at(sink.url())
    publish_events()
    deliver_due()
    sink.answers.clear()
    make_due()
    deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.last_error) == ("success", 2, "")
    assert delivery.last_status_code == 200


@pytest.mark.parametrize("end", [delete_endpoint, Endpoint.delete])
def test_an_endpoint_may_be_deleted_while_its_requests_are_in_flight(
    sink, endpoint_at, publish_events, dispatching, end
):
    sink.answers["/gone"] = sink.hold
    endpoint, _other = endpoint_at(sink.url("gone")), endpoint_at(sink.url("stays"))
    publish_events(count=2)
    with dispatching():
        sink.wait_for(2, path="gone")
        end(endpoint)
        sink.release()
    clean_up_endpoints()
    assert set(Delivery.objects.values_list("endpoint__url", "status")) == {
        (sink.url("stays"), "success")
    }
    assert Attempt.objects.count() == 2


def test_an_endpoint_may_be_disabled_while_its_requests_are_in_flight(
    sink, endpoint_at, publish_events, dispatching
):
    sink.answers["/hook"] = sink.hold
    endpoint = endpoint_at(sink.url())
    publish_events(count=2)
    with dispatching():
        sink.wait_for(2)
        update_endpoint(endpoint, {"status": "disabled"})
        sink.release()
    assert clean_up_endpoints() == 0
    assert set(Delivery.objects.values_list("status", "last_error")) == {("success", "")}


def test_a_disabled_endpoint_is_not_called(sink, endpoint_at, publish_events):
    endpoint = endpoint_at(sink.url())
    publish_events()
    update_endpoint(endpoint, {"status": "disabled"})
    assert deliver_due().claimed == 0
    assert clean_up_endpoints() == 1
    update_endpoint(endpoint, {"status": "enabled"})
    publish_events()
    assert deliver_due().claimed == 1


def test_an_undecryptable_secret_affects_only_its_own_endpoint(
    sink, endpoint_at, publish_events, caplog
):
    broken, _ = endpoint_at(sink.url("broken")), endpoint_at(sink.url("fine"))
    Endpoint.objects.filter(pk=broken.pk).update(encrypted_keyring="gAAAAA-of-a-lost-key")
    publish_events(count=3)
    assert deliver_due().claimed == 6
    assert set(sink.paths()) == {"fine"}
    waiting = Delivery.objects.filter(endpoint=broken)
    assert set(waiting.values_list("status", "last_error")) == {("pending", "secret_unreadable")}


def test_a_bug_in_one_request_affects_no_other(
    sink, endpoint_at, publish_events, monkeypatch, caplog
):
    def headers(keyring, *, body, **parts):
        if b"person1@" in body:
            raise ZeroDivisionError
        return {}

    monkeypatch.setattr(signing, "headers", headers)
    endpoint_at(sink.url())
    publish_events(count=3)
    assert deliver_due().claimed == 3
    assert sorted(Delivery.objects.values_list("status", "last_error")) == [
        ("pending", "internal_error"),
        ("success", ""),
        ("success", ""),
    ]
