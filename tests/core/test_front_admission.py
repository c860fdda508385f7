"""Requests start in time or are refused at once, and no kind holds up another."""

import json
import threading
import time
from contextlib import ExitStack

import psutil
import pytest

from devstack.embedded import free_port
from tests.clients import wait_until
from tests.core import front_server
from tests.core.front_server import QUEUE_SECONDS, answer, is_closed, request


@pytest.fixture(scope="module")
def server():
    with front_server.running_server() as running:
        yield running


@pytest.fixture
def send(server):
    """`send(path, count)`: that many GET requests, each on a connection of its own."""
    # What the test before left behind runs to its end.
    wait_until(lambda: server.ask(request("GET", "/log"))[0] == 200, what="a free place")
    time.sleep(0.1)
    with ExitStack() as stack:
        yield lambda path, count=1: [
            stack.enter_context(server.connect(request("GET", path))) for _ in range(count)
        ]


def seconds(call):
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def test_requests_queue_for_a_moment(send):
    assert [answer(each)[0] for each in send("/wait/0.2", 6)] == [200] * 6


def test_a_request_that_would_wait_too_long_is_refused(server, send):
    running = send("/wait/2.5", 2)
    time.sleep(0.1)
    queued = send("/queued", 3)
    begun = time.monotonic()
    for each in queued:
        status, headers, body = answer(each)
        assert (status, json.loads(body)["name"]) == (503, "overloaded")
        assert int(headers["retry-after"]) >= 1
        assert headers["x-request-id"]
    assert QUEUE_SECONDS * 0.8 < time.monotonic() - begun < QUEUE_SECONDS + 0.5
    assert [answer(each)[0] for each in running] == [200, 200]
    assert server.ran("/queued") == 0


def test_others_are_served_meanwhile(server, send):
    send("/wait/1.5", 2)
    time.sleep(0.1)
    for path in ("/events/ses", "/healthz", "/healthz/", "//events/ses/"):
        assert seconds(lambda path=path: server.get(path)) < 0.5


def test_newcomers_are_refused_at_once_while_the_queue_is_long(server, send):
    send("/wait/2", 2)
    time.sleep(0.1)
    first = send("/queued", 1)
    time.sleep(QUEUE_SECONDS * 0.7)
    (late,) = send("/late")
    assert seconds(lambda: answer(late)) < 0.2
    with server.connect(request("POST", "/late", b"", length=1000)) as unsent:
        assert answer(unsent)[0] == 503, "before its body was read"
    assert answer(first[0])[0] == 503
    assert server.ran("/late") == 0


@pytest.mark.parametrize(
    ("accept", "kind"), [("*/*", "application/json"), ("text/html,*/*", "text/plain")]
)
def test_a_refusal_is_in_the_form_that_the_client_reads(server, send, accept, kind):
    send("/wait/2", 2)
    time.sleep(0.1)
    status, headers, _ = server.ask(request("GET", "/queued", None, f"Accept: {accept}"))
    assert (status, headers["content-type"].split(";")[0]) == (503, kind)


def test_the_second_dialect_has_its_own_refusals(server, send):
    send("/wait/2", 2)
    time.sleep(0.1)
    status, _, body = server.ask(request("GET", "/v1/mailboxes"))
    assert (status, json.loads(body)["error"]) == (503, "overloaded")


def test_a_request_whose_client_is_gone_never_starts(server, send):
    running = send("/wait/0.9", 2)
    time.sleep(0.1)
    for each in send("/abandoned", 5):
        each.close()
    assert [answer(each)[0] for each in running] == [200, 200]
    time.sleep(0.2)
    assert server.ran("/abandoned") == 0


def test_places_come_back_after_clients_gave_up(server, send):
    for each in send("/wait/0.4", 8):
        each.close()
    time.sleep(1.2)
    assert [answer(each)[0] for each in send("/wait/0.3", 2)] == [200, 200]
    assert seconds(lambda: server.get("/wait/0")) < 0.3


def test_a_wait_with_a_budget_holds_no_place(server, send):
    waiting = [send(f"/budget/1.2?{workspace}")[0] for workspace in (1, 2, 3)]
    time.sleep(0.2)
    for _ in range(4):
        assert seconds(lambda: server.get("/wait/0")) < 0.3
    assert [answer(each)[0] for each in waiting] == [200] * 3


def test_a_budget_is_kept_in_all_and_per_workspace(server, send):
    send("/budget/1?7", 2)
    time.sleep(0.2)
    assert server.get("/budget/0?7") == {"refused": "too_many_tests"}
    assert server.get("/budget/0?8") == {}
    send("/budget/1?8")
    time.sleep(0.2)
    assert server.get("/budget/0?9") == {"refused": "too_many_tests"}
    time.sleep(1)
    assert server.get("/budget/0?7") == {}


def test_a_streamed_response_has_its_length(server):
    for count in (0, 1, 12, 64):
        status, headers, body = server.ask(request("GET", f"/stream/{count}"))
        assert (status, len(body)) == (200, count * 65536)
        assert headers["content-length"] == str(len(body))


def test_a_stream_that_fails_is_no_complete_file(server):
    status, _, body = server.ask(request("GET", "/stream/13"))
    assert (status, json.loads(body)["name"]) == (500, "internal_server_error")


def test_clients_that_do_not_read_hold_no_place(server, send):
    unread = send("/stream/256", 4)  # 16 MiB each
    time.sleep(1.5)
    for _ in range(4):
        assert seconds(lambda: server.get("/wait/0")) < 0.5
    assert [len(answer(each)[2]) for each in unread] == [16 * 1024 * 1024] * 4


def test_connections_beyond_the_queue_are_answered_too(server):
    """More clients than the queue has room for, all at once: each gets a response."""
    statuses = []

    def ask():
        statuses.append(server.ask(request("GET", "/wait/0.05"))[0])

    threads = [threading.Thread(target=ask) for _ in range(150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 150
    assert set(statuses) == {200, 503}
    assert seconds(lambda: server.get("/wait/0")) < QUEUE_SECONDS


def test_a_refused_connection_is_closed(server, send):
    send("/wait/1.5", 2)
    time.sleep(0.1)
    with server.connect(request("GET", "/queued")) as connection:
        assert answer(connection)[1]["connection"] == "close"
        assert is_closed(connection)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("GET", "/wait/1"), 200),
        (request("POST", "/stalled", b"x", length=9), 408),
        (request("GET", "/healthz"), 200),
        (b"", 0),
    ],
)
def test_a_stop_finishes_what_runs_and_waits_for_nothing_else(sent, status):
    with ExitStack() as stack:
        with front_server.running_server() as server:
            connection = stack.enter_context(server.connect(sent))
            time.sleep(0.3)
            begun = time.monotonic()
        assert time.monotonic() - begun < 4
        assert answer(connection)[0] == status


def test_a_stop_does_not_wait_for_a_process_that_is_starting():
    server = front_server.start(free_port(), START_SECONDS="20")
    wait_until(psutil.Process(server.pid).children, what="the process that serves")
    time.sleep(0.5)
    server.terminate()
    server.wait(5)
