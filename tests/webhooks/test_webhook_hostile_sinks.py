"""Hostile servers fail only their own attempts, at little cost of time and memory."""

import asyncio
import gzip
import re
import ssl
import time
from functools import partial
from pathlib import Path

import pytest

from core.outbound import OutboundClient
from tests.certificates import Authority
from tests.webhooks.webhook_sink import Sink, response
from webhooks.dispatch import loop
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Attempt, Delivery

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT = 0.6  # seconds
SLACK = 1.5  # for claiming and writing on a busy machine
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Hostile(Sink):
    """Runs a script after reading a request: an async function of the connection's writer."""

    def __init__(self, script, **options):
        super().__init__(**options)
        self._script = script

    async def _connected(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            await reader.readuntil(b"\r\n\r\n")
            await reader.read(64 * 1024)
            await self._script(writer)
            writer.write_eof()
            await reader.read()  # closing with unread input would reset the connection
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()


def sends(*parts):
    """Send the parts and close."""

    async def script(writer):
        for part in parts:
            writer.write(part)
            await writer.drain()

    return script


def floods(start, part):
    """Send the part repeatedly, as fast as the client reads."""

    async def script(writer):
        writer.write(start)
        while True:
            writer.write(part)
            await writer.drain()

    return script


def drips(start, part=b"x"):
    """Send the part a few times per timeout, forever."""

    async def script(writer):
        writer.write(start)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(TIMEOUT / 5)

    return script


async def never_responds(writer):
    await asyncio.sleep(60)


async def resets(writer):
    writer.transport.abort()


@pytest.fixture(autouse=True)
def short_timeout(settings):
    settings.WEBHOOK_TIMEOUT = TIMEOUT


@pytest.fixture
def attempt_at(sink, endpoint_at, publish_events):
    """Deliver one event to a hostile URL and to a healthy one; returns the hostile attempt."""

    def deliver(url):
        hostile, healthy = endpoint_at(url), endpoint_at(sink.url())
        publish_events()
        began = time.monotonic()
        assert deliver_due().claimed == 2
        assert time.monotonic() - began < TIMEOUT + SLACK
        delivered = Delivery.objects.get(endpoint=healthy)
        assert (delivered.status, delivered.attempts, len(sink.received)) == ("success", 1, 1)
        return Attempt.objects.get(delivery__endpoint=hostile)

    return deliver


BOMB = gzip.compress(bytes(50_000_000))
NO_RESPONSE = {
    "never answers": (never_responds, "timeout", "No complete response within 0.6 s"),
    "drips in its first line": (drips(b"HTTP/1.1 200 "), "timeout", "No complete response"),
    "drips headers": (drips(OK, b"X-More: y\r\n"), "timeout", "No complete response"),
    "drips interim answers": (
        drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "timeout",
        "No complete response",
    ),
    "floods with 100 Continue": (
        floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        "invalid_response",
        "too many responses",
    ),
    "floods with 103 Early Hints": (
        floods(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100),
        "invalid_response",
        "too many responses",
    ),
    "closes before the head": (sends(), "connection_error", "closed before a response arrived"),
    "closes in the head": (sends(OK + b"Content-"), "connection_error", "closed"),
    "resets the connection": (resets, "connection_error", "connection"),
    "sends 10,000 headers": (
        sends(OK + b"X-More: y\r\n" * 10_000 + b"\r\n"),
        "too_many_headers",
        "too many headers",
    ),
    "sends headers without end": (
        floods(OK, b"X-More: y\r\n" * 1000),
        "too_many_headers",
        "too many headers",
    ),
    "sends a header of 1 MB": (
        sends(OK + b"X-Long: " + b"y" * 2**20 + b"\r\n\r\n"),
        "invalid_response",
        "not valid HTTP",
    ),
    "sends a header without end": (
        floods(OK + b"X-Long: ", b"y" * 65536),
        "invalid_response",
        "not valid HTTP",
    ),
    "sends a first line without end": (
        floods(b"HTTP/1.1 200 ", b"O" * 65536),
        "invalid_response",
        "not valid HTTP",
    ),
    "speaks SMTP": (
        sends(b"220 mail.example.test ESMTP\r\n"),
        "invalid_response",
        "not valid HTTP",
    ),
    "sends random bytes": (sends(bytes(range(256)) * 100), "invalid_response", "not valid HTTP"),
}
BROKEN_BODY = {
    "drips its body": (drips(OK + b"Content-Length: 1000\r\n\r\n"), "timeout", "x"),
    "drips a body without end": (drips(OK + b"\r\n"), "timeout", "x"),
    "drips chunks": (drips(CHUNKED, b"1\r\nx\r\n"), "timeout", "x"),
    "closes in the body": (
        sends(OK + b"Content-Length: 9\r\n\r\nxy"),
        "connection_error",
        "xy",
    ),
    "closes in a chunk": (sends(CHUNKED + b"9\r\nxy"), "connection_error", "xy"),
}
SUFFICIENT_BODY = {
    "a body without end": (floods(OK + b"\r\n", b"x" * 65536), "x" * 1000),
    "chunks without end": (floods(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"), "x" * 1000),
    "less than a terabyte of what was announced": (
        floods(OK + b"Content-Length: 1000000000000\r\n\r\n", b"x" * 65536),
        "x" * 1000,
    ),
    "a compressed bomb": (
        sends(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB),
        "\x1f\N{REPLACEMENT CHARACTER}\x08",
    ),
    "chunks with extensions of 1 MB": (
        sends(CHUNKED + b"2;" + b"e" * 2**20 + b"\r\nab\r\n0\r\n\r\n"),
        "ab",
    ),
    "NUL and bytes that are no text": (
        sends(OK + b"Content-Length: 5\r\n\r\na\x00\xff\xed\xa0"),
        "a" + "\N{REPLACEMENT CHARACTER}" * 4,
    ),
}


@pytest.mark.parametrize(("script", "error", "message"), NO_RESPONSE.values(), ids=NO_RESPONSE)
def test_an_invalid_response_head_counts_as_no_response(attempt_at, script, error, message):
    with Hostile(script) as hostile:
        attempt = attempt_at(hostile.url())
    assert (attempt.status_code, attempt.error, attempt.response) == (None, error, "")
    assert message in attempt.message
    assert attempt.duration_ms < (TIMEOUT + SLACK) * 1000
    assert attempt.address == "127.0.0.1"


@pytest.mark.parametrize(("script", "error", "start"), BROKEN_BODY.values(), ids=BROKEN_BODY)
def test_an_incomplete_body_is_a_failure_with_its_status(attempt_at, script, error, start):
    with Hostile(script) as hostile:
        attempt = attempt_at(hostile.url())
    assert (attempt.status_code, attempt.error) == (200, error)
    assert attempt.message
    assert attempt.response.startswith(start)
    assert len(attempt.response) < 10


@pytest.mark.parametrize(("script", "start"), SUFFICIENT_BODY.values(), ids=SUFFICIENT_BODY)
def test_the_start_of_a_body_is_sufficient(attempt_at, script, start):
    with Hostile(script) as hostile:
        attempt = attempt_at(hostile.url())
    assert (attempt.status_code, attempt.error, attempt.message) == (200, "", "")
    assert attempt.response.startswith(start)
    assert len(attempt.response) <= 1000


CHUNKS = {
    "no number": b"zz\r\nab\r\n",
    "negative": b"-1\r\nab\r\n",
    "larger than 64 bits": b"f" * 17 + b"\r\nab\r\n",
    "no line end": b"2\r\nabcd\r\n",
    "trailers of 1 MB": b"2\r\nab\r\n0\r\n" + b"X-More: y\r\n" * 100_000 + b"\r\n",
}


@pytest.mark.parametrize("garbage", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("before", [b"", b"2\r\nab\r\n"], ids=["at once", "after a good one"])
def test_invalid_chunks_are_bounded_and_reported(attempt_at, garbage, before):
    with Hostile(sends(CHUNKED + before, garbage)) as hostile:
        attempt = attempt_at(hostile.url())
    assert attempt.status_code in (None, 200)
    assert attempt.error in ("invalid_response", "connection_error", "timeout", "too_many_headers")
    assert attempt.message


def test_a_redirect_into_a_private_network_fails_and_is_not_followed(attempt_at, sink):
    location = "http://169.254.169.254/latest/meta-data/"
    with Sink(hook=response(307, b"moved", Location=location)) as hostile:
        attempt = attempt_at(hostile.url())
    assert (attempt.status_code, attempt.error, attempt.response) == (307, "http_307", "moved")
    assert len(hostile.received) == 1


def test_a_redirect_to_another_sink_is_not_followed(attempt_at, sink):
    with Sink(hook=response(308, Location=sink.url("elsewhere"))) as hostile:
        assert attempt_at(hostile.url()).error == "http_308"
    assert sink.paths() == ["hook"]


def test_a_response_sent_in_advance_does_not_answer_the_next_request(
    endpoint_at, publish_events, settings
):
    """It confirms a second event that it never received."""
    settings.WEBHOOK_PER_ENDPOINT = 1
    with Sink(hook=response(200) + response(200, b"in advance")) as hostile:
        endpoint_at(hostile.url())
        publish_events(count=4)
        assert deliver_due().claimed == 4
    assert len({request.body for request in hostile.received}) == 4
    assert not Attempt.objects.filter(response="in advance").exists()


# --- Certificates -----------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path, monkeypatch):
    """A certificate authority that the dispatcher trusts like those of the system."""
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=authority.path)
    lookup = lambda name: ["127.0.0.1"]  # noqa: E731
    client = partial(OutboundClient, tls=context, lookup=lookup)
    monkeypatch.setattr(loop, "OutboundClient", client)
    return authority


def tls_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_of_a_trusted_authority_is_accepted(authority, attempt_at):
    tls = tls_context(authority.certificate("hooks.example.test"))
    with Sink(tls=tls) as secure:
        attempt = attempt_at(secure.url(host="hooks.example.test"))
    assert (attempt.status_code, attempt.error) == (200, "")


BAD_CERTIFICATES = {
    "self-signed": (lambda made: made.self_signed("hooks.example.test"), "self-signed certificate"),
    "for another name": (
        lambda made: made.certificate("other.example.test"),
        "certificate is not valid for 'hooks.example.test'",
    ),
    "expired": (
        lambda made: made.certificate("hooks.example.test", valid=(-48, -24)),
        "certificate has expired",
    ),
    "not valid yet": (
        lambda made: made.certificate("hooks.example.test", valid=(24, 48)),
        "certificate is not yet valid",
    ),
}


@pytest.mark.parametrize(("make", "reason"), BAD_CERTIFICATES.values(), ids=BAD_CERTIFICATES)
def test_an_invalid_certificate_is_a_tls_error_with_the_reason(authority, attempt_at, make, reason):
    with Sink(tls=tls_context(make(authority))) as hostile:
        attempt = attempt_at(hostile.url(host="hooks.example.test"))
    assert (attempt.status_code, attempt.error) == (None, "tls_error")
    assert reason in attempt.message
    assert hostile.received == []  # no byte of the event was sent


def test_an_unfinished_tls_handshake_is_a_timeout(attempt_at):
    async def connected(reader, writer):
        await asyncio.sleep(60)

    with Sink() as hostile:
        hostile._connected = connected
        attempt = attempt_at(hostile.url().replace("http:", "https:"))
    assert (attempt.status_code, attempt.error) == (None, "timeout")


# --- Memory -----------------------------------------------------------------------------------


def memory_of_process(name):
    """VmRSS (now) or VmHWM (the peak) of this process, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024


FLOODS = {
    "a body": floods(OK + b"\r\n", b"x" * 65536),
    "chunks": floods(CHUNKED, b"1\r\nx\r\n" * 5000),
    "headers": floods(OK, b"X-More: y\r\n" * 1000),
    "one header": floods(OK + b"X-Long: ", b"y" * 65536),
    "interim answers": floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "interim answers with headers": floods(
        b"", b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </a>; rel=preload\r\n" * 50 + b"\r\n"
    ),
    "whole answers": floods(b"", OK + b"Content-Length: 0\r\n\r\n"),
    "an extension of a chunk": floods(CHUNKED + b"2;", b"e" * 65536),
    "trailers": floods(CHUNKED + b"2\r\nab\r\n0\r\n", b"X-More: y\r\n" * 1000),
}


@pytest.mark.parametrize("script", FLOODS.values(), ids=FLOODS)
def test_twenty_concurrent_floods_use_little_memory(sink, endpoint_at, publish_events, script):
    with Hostile(script) as hostile:
        for n in range(20):
            endpoint_at(hostile.url(f"flood{n}"))
        endpoint_at(sink.url())
        publish_events()
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak
        before, began = memory_of_process("VmRSS"), time.monotonic()
        assert deliver_due().claimed == 21
        grown, took = memory_of_process("VmHWM") - before, time.monotonic() - began
    assert grown < 16 * 2**20
    assert took < TIMEOUT + 2 * SLACK
    assert len(sink.received) == 1
    assert Attempt.objects.count() == 21
