"""Stalled bodies, hanging endpoints and broken uploads hold up nobody else."""

import json
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from tests.journey.test_signed_callbacks import envelope, open_event, post
from twin.ses.events import new_message_id

STALLED = {
    "a length and one byte": ("/events/ses", "Content-Length: 1000\r\n\r\nx"),
    "a length and nothing": ("/emails", "Content-Length: 1000\r\n\r\n"),
    "chunks without an end": ("/events/ses", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"),
    "a chunk that is not whole": (
        "/suppressions/import",
        "Transfer-Encoding: chunked\r\n\r\nff\r\nx",
    ),
    "half a form": ("/admin/login/", "Content-Length: 1000\r\n\r\nusername="),
    "half a page's form": ("/t/u/x", "Content-Length: 50\r\n\r\n"),
}


@contextmanager
def held(product, *requests_):
    """Connections that have sent these bytes and wait."""
    url = urlsplit(product.facts["base_url"])
    with ExitStack() as stack:
        connections = []
        for each in requests_:
            connection = stack.enter_context(socket.create_connection((url.hostname, url.port), 5))
            connection.sendall(each)
            connections.append(connection)
        yield connections


def assert_served(product):
    """The probe, the API and SES's callbacks are answered within a second."""
    facts, begun = product.facts, time.monotonic()
    assert requests.get(f"{facts['base_url']}/healthz", timeout=5).json()["status"] == "ok"
    assert product.api("GET", "/emails").status_code == 200
    event = open_event("x", new_message_id("us-east-1", time.time()))
    assert post(facts, "/events/ses", envelope(facts, event, version="2")).status_code == 200
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(("path", "rest"), STALLED.values(), ids=STALLED)
def test_stalled_bodies_hold_up_nobody(product, path, rest):
    host = urlsplit(product.facts["base_url"]).netloc
    stalled = f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{rest}".encode()
    with held(product, *[stalled] * 48):
        assert_served(product)
        assert_served(product)


def test_silent_and_idle_connections_hold_up_nobody(product):
    host = urlsplit(product.facts["base_url"]).netloc
    idle = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    with held(product, *[b""] * 400, *[idle] * 400, *[b"POST /emails HT"] * 400):
        assert_served(product)


def test_hanging_test_events_hold_up_nobody(product):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        hook = product.api("POST", "/webhooks", {"endpoint": url, "events": ["*"]}).json()
        answers = []

        def test():
            answers.append(product.api("POST", f"/webhooks/{hook['id']}/test", {}))

        threads = [threading.Thread(target=test) for _ in range(16)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        try:
            assert_served(product)
        finally:
            silent.close()
            for thread in threads:
                thread.join(1)
        refused = [each for each in answers if each.status_code == 429]
        assert len(refused) >= 8  # two at a time in each of two processes
        assert {each.json()["name"] for each in refused} == {"too_many_tests"}
        assert all(int(each.headers["retry-after"]) >= 1 for each in refused)
        product.api("DELETE", f"/webhooks/{hook['id']}")


def raw(product, head, body, *, kind="text/csv"):
    """The bytes of a request with a key."""
    return (
        f"{head} HTTP/1.1\r\nHost: {urlsplit(product.facts['base_url']).netloc}\r\n"
        f"Authorization: Bearer {product.facts['api_key']}\r\nContent-Type: {kind}\r\n"
    ).encode() + body


def chunk(text):
    return f"{len(text):x}\r\n{text}\r\n"


@pytest.mark.parametrize("end", ["", "ff\r\nvictim@example.c", "0\r\n", "zz\r\n"])
@pytest.mark.parametrize("how", ["closed", "half closed"])
def test_an_upload_that_breaks_off_changes_nothing(product, end, how):
    address = f"cut-{time.monotonic_ns()}@example.co"
    mail = {"email": address}
    bodies = {
        "POST /suppressions/import": ("text/csv", f"email\n{address}"),
        "POST /suppressions": ("application/json", json.dumps(mail)),
        "POST /contacts": ("application/json", json.dumps(mail)),
    }
    for head, (kind, text) in bodies.items():
        body = f"Transfer-Encoding: chunked\r\n\r\n{chunk(text)}{end}".encode()
        with held(product, raw(product, head, body, kind=kind)) as (connection,):
            if how == "half closed":
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(12) in (b"HTTP/1.1 400", b"")
    time.sleep(0.2)
    assert product.api("GET", f"/suppressions/{address}").status_code == 404
    assert product.api("GET", f"/contacts/{address}").status_code == 404
