"""A request body is complete, in time and within its limit, or no view sees the request."""

import json
import socket
import time

import pytest

from tests.core import front_server
from tests.core.front_server import PAUSE_SECONDS, answer, chunked, is_closed, request

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server():
    with front_server.running_server() as running:
        yield running


def echoed(response):
    status, _, body = response
    assert status == 200, response
    return json.loads(body)


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, MEGABYTE, MEGABYTE + 1, 4 * MEGABYTE])
def test_a_complete_body_arrives_with_its_length(server, size):
    whole = b"a" * size
    pieces = [whole[at : at + 50_000] for at in range(0, size, 50_000)]
    for sent in (request("POST", "/echo", whole), chunked("/echo", *pieces)):
        seen = echoed(server.ask(sent))
        assert seen["length"] == size
        assert seen["environ"]["CONTENT_LENGTH"] == str(size)
        assert "HTTP_TRANSFER_ENCODING" not in seen["environ"]


def test_a_chunked_body_may_end_in_trailers(server):
    sent = chunked("/echo", b"a", end=b"0\r\nChecksum: 1\r\n\r\n")
    assert echoed(server.ask(sent))["length"] == 1


BROKEN = {
    "shorter than declared": request("POST", "/broken", b"a@example.co", length=13),
    "nothing of what was declared": request("POST", "/broken", b"", length=13),
    "long, and shorter than declared": request(
        "POST", "/broken", b"x" * 2 * MEGABYTE, length=2 * MEGABYTE + 1
    ),
    "chunked, without its end": chunked("/broken", b"a@example.co", end=b""),
    "chunked, with half of its end": chunked("/broken", b"a@example.co", end=b"0\r\n"),
    "chunked, inside a chunk": chunked("/broken", b"a", end=b"ff\r\na@example.co"),
    "chunked, before the size of a chunk": chunked("/broken", b"a", end=b"f"),
    "chunked, with a size that is no number": chunked("/broken", b"a", end=b"zz\r\nb\r\n"),
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("how", ["closed", "half closed", "reset"])
def test_a_body_that_breaks_off_is_no_body(server, sent, how):
    with server.connect(sent) as connection:
        if how == "half closed":
            connection.shutdown(socket.SHUT_WR)
            assert answer(connection)[0] in (400, 0)
        elif how == "reset":
            linger = b"\x01\0\0\0\0\0\0\0"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    time.sleep(0.1)
    assert server.ran("/broken") == 0


def test_the_client_of_an_incomplete_body_is_told(server):
    with server.connect(request("POST", "/broken", b"abc", length=5)) as connection:
        connection.shutdown(socket.SHUT_WR)
        status, headers, body = answer(connection)
    assert (status, json.loads(body)["name"]) == (400, "incomplete_body")
    assert headers["x-request-id"]


STALLED = {
    "one byte of a thousand": request("POST", "/stalled", b"x", length=1000),
    "nothing": request("POST", "/stalled", b"", length=1000),
    "a megabyte, at once": request("POST", "/stalled", b"x" * MEGABYTE, length=2 * MEGABYTE),
    "chunked": chunked("/stalled", b"x", end=b""),
    "chunked, inside a chunk": chunked("/stalled", b"x", end=b"ff\r\nx"),
}


@pytest.mark.parametrize("sent", STALLED.values(), ids=STALLED)
def test_a_stalled_body_is_given_up(server, sent):
    begun = time.monotonic()
    with server.connect(sent) as connection:
        status, headers, body = answer(connection)
        assert (status, json.loads(body)["name"]) == (408, "request_timeout")
        assert headers["connection"] == "close"
        assert PAUSE_SECONDS * 0.9 < time.monotonic() - begun < PAUSE_SECONDS + 2
        assert is_closed(connection)
    assert server.ran("/stalled") == 0


def test_a_body_that_trickles_is_given_up(server):
    begun = time.monotonic()
    with server.connect(request("POST", "/trickled", b"", length=1000)) as connection:
        connection.settimeout(0.1)
        while time.monotonic() - begun < PAUSE_SECONDS + 3:
            connection.sendall(b"x")
            try:
                first = connection.recv(12)
            except TimeoutError:
                continue
            break
    assert first == b"HTTP/1.1 408"
    assert time.monotonic() - begun < PAUSE_SECONDS + 1.5


def test_a_slow_body_above_the_least_rate_is_read(server):
    size = 300_000  # at 100 KB/s, three times as long as a pause may be
    with server.connect(request("POST", "/echo", b"", length=size)) as connection:
        for _ in range(30):
            connection.sendall(b"x" * (size // 30))
            time.sleep(0.1)
        assert echoed(answer(connection))["length"] == size


def test_stalled_bodies_hold_nothing_that_others_need(server):
    held = [server.connect(sent) for sent in STALLED.values() for _ in range(20)]
    try:
        for _ in range(5):
            begun = time.monotonic()
            assert server.ask(request("GET", "/healthz"))[0] == 200
            assert echoed(server.ask(request("POST", "/echo", b"abc")))["length"] == 3
            assert server.ask(request("POST", "/events/ses", b"{}"))[0] == 200
            assert time.monotonic() - begun < 1
    finally:
        for connection in held:
            connection.close()


def test_a_body_that_declares_too_much_is_refused_unread(server):
    status, headers, body = server.ask(
        request("POST", "/large", b"", "Expect: 100-continue", length=4 * MEGABYTE + 1)
    )
    assert (status, json.loads(body)["name"]) == (413, "payload_too_large")
    assert headers["connection"] == "close"


@pytest.mark.parametrize(
    ("path", "limit"), [("/large", 4 * MEGABYTE), ("/events/large", 512 * 1024)]
)
def test_a_client_that_sends_too_much_still_sees_the_answer(server, path, limit):
    whole = b"x" * (limit + 1)
    for sent in (request("POST", path, whole), chunked(path, whole)):
        status, _, body = server.ask(sent)
        assert (status, json.loads(body)["name"]) == (413, "payload_too_large")
    assert server.ran(path) == 0


def test_a_connection_is_used_again_after_each_kind_of_body(server):
    with server.connect() as connection:
        for sent in (
            request("POST", "/echo", b"one"),
            chunked("/echo", b"three"),
            request("GET", "/echo"),
            request("POST", "/echo", b"x" * 2 * MEGABYTE),
            request("POST", "/echo", b""),
        ):
            connection.sendall(sent)
            assert answer(connection)[0] == 200


def test_the_request_is_passed_on_as_it_was(server):
    seen = echoed(
        server.ask(
            request(
                "POST",
                "/echo/%C3%BC/%00x?q=%20",
                b"abc",
                "Content-Type: text/csv",
                "X-Two: a",
                "X-Two: b",
                "Cookie: a=1",
                "Cookie: b=2",
                "X_Forwarded_Proto: https",
                "X-Odd: \xfc",
            )
        )
    )["environ"]
    assert seen["PATH_INFO"] == "/echo/\xc3\xbc/\x00x"
    assert seen["QUERY_STRING"] == "q=%20"
    assert seen["CONTENT_TYPE"] == "text/csv"
    assert seen["HTTP_X_TWO"] == "a,b"
    assert seen["HTTP_COOKIE"] == "a=1; b=2"
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert seen["HTTP_X_ODD"] == ""
    assert "HTTP_X_FORWARDED_PROTO" not in seen
