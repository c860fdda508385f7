"""Requests to real loopback servers, most of which misbehave."""

import asyncio
import gzip
import os
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest
import uvloop

from core.outbound import OutboundClient, OutboundPolicy, UnsafeAddress, fetch
from core.outbound.connector import ConnectionInfo, GuardedConnector, current_connection
from core.outbound.resolver import CheckedResolver

LOOPBACK = OutboundPolicy.allowing(["127.0.0.0/8"], allow_http=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CAP = 16 * 1024


class Server:
    """Runs a script per connection: bytes are sent, True reads a request, numbers are pauses."""

    def __init__(self, *script):
        self.script = script
        self.connections, self.open, self.sent, self.requests = 0, 0, 0, []

    @asynccontextmanager
    async def running(self):
        self._tasks = set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        self.open += 1
        try:
            for step in self.script:
                await self._play(step, reader, writer)
            writer.write_eof()
            await reader.read()  # closing with unread input would reset the connection
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort()

    async def _play(self, step, reader, writer):
        if step is True:
            self.requests.append(await _read_request(reader))
        elif isinstance(step, bytes):
            self.sent += len(step)
            writer.write(step)
            await writer.drain()
        else:
            await asyncio.sleep(step)


async def _read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    body = await reader.readexactly(int(headers.get("Content-Length", 0)))
    return lines[0], headers, body


def lookup(name):
    if name.endswith(".invalid"):
        raise OSError(-2, "Name or service not known")
    return ["127.0.0.1"]


async def post(client, server, host="hooks.example.test", path="/hook", **changes):
    request = {"headers": {}, "body": b"{}", "timeout": 2.0, "max_body": CAP} | changes
    return await client.request("POST", f"http://{host}:{server.port}{path}", **request)


def exchange(*script, **changes):
    """One POST to a new server: the outcome, and the server with the requests it received."""

    async def run():
        async with (
            Server(*script).running() as server,
            OutboundClient(LOOPBACK, lookup=lookup) as client,
        ):
            return await post(client, server, **changes), server

    return asyncio.run(run())


def test_a_request_is_sent_as_given_and_the_response_returned():
    outcome, server = exchange(True, OK, headers={"X-Event-Id": "whd_1"}, body=b'{"a": 1}')

    assert (outcome.status, outcome.error, outcome.message) == (200, None, "")
    assert (outcome.body, outcome.truncated, outcome.succeeded) == (b"ok", False, True)
    assert outcome.address == "127.0.0.1"
    assert server.requests == [
        (
            "POST /hook HTTP/1.1",
            {
                "Host": f"hooks.example.test:{server.port}",
                "X-Event-Id": "whd_1",
                "Accept-Encoding": "identity",
                "Content-Length": "8",
            },
            b'{"a": 1}',
        )
    ]


def test_a_path_is_sent_byte_for_byte():
    path = "/a/../b/%7Ec//d%2f;e?x=%41+b&y="
    _, server = exchange(True, OK, path=path)

    assert server.requests[0][0] == f"POST {path} HTTP/1.1"


def test_response_headers_are_case_insensitive():
    head = b"HTTP/1.1 503 Busy\r\nretry-after: 120\r\nContent-Length: 0\r\n\r\n"
    outcome, _ = exchange(True, head)

    assert (outcome.status, outcome.error, outcome.succeeded) == (503, None, False)
    assert outcome.headers.get("Retry-After") == "120"


def test_a_redirect_is_not_followed():
    head = b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    outcome, server = exchange(True, head, True, OK)

    assert (outcome.status, outcome.error, outcome.succeeded) == (307, None, False)
    assert len(server.requests) == 1


def test_an_endless_body_is_truncated_and_its_status_kept():
    outcome, server = exchange(True, b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65536] * 1000)

    assert (outcome.status, outcome.error) == (200, None)
    assert outcome.body == b"x" * CAP
    assert outcome.truncated
    assert server.sent < 32 * 2**20  # of 65 MB: the connection was dropped


def test_a_body_of_exactly_the_maximum_is_not_truncated():
    outcome, _ = exchange(True, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", max_body=4)

    assert (outcome.body, outcome.truncated) == (b"body", False)


def test_a_slow_body_ends_at_the_timeout():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    outcome, _ = exchange(True, head, *[b"x", 0.05] * 40, timeout=0.3)

    assert (outcome.status, outcome.error, outcome.succeeded) == (200, "timeout", False)
    assert 250 < outcome.duration_ms < 900
    assert 0 < len(outcome.body) < 15


def test_slow_headers_end_at_the_timeout():
    outcome, _ = exchange(True, b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n", 0.05] * 40, timeout=0.3)

    assert (outcome.status, outcome.error) == (None, "timeout")
    assert outcome.duration_ms < 900


def test_a_bad_chunk_after_a_good_one_ends_within_the_timeout():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
    outcome, _ = exchange(True, head, 0.05, b"zz\r\nab", timeout=0.3)

    assert (outcome.status, outcome.body) == (200, b"ab")
    assert outcome.error
    assert outcome.duration_ms < 900


def test_a_slow_response_is_a_timeout():
    outcome, _ = exchange(True, 5, OK, timeout=0.2)

    assert (outcome.status, outcome.error) == (None, "timeout")
    assert outcome.message == "No complete response within 0.2 s"
    assert outcome.address == "127.0.0.1"


def test_endless_interim_responses_are_a_timeout():
    outcome, _ = exchange(True, *[b"HTTP/1.1 100 Continue\r\n\r\n", 0.02] * 100, timeout=0.3)

    assert (outcome.status, outcome.error) == (None, "timeout")


@pytest.mark.parametrize(
    ("script", "status", "error"),
    [
        ([True], None, "connection_error"),
        ([True, b"HTTP/1.1 200 OK\r\nContent-"], None, "connection_error"),
        ([True, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"], 200, "connection_error"),
        (
            [True, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"],
            200,
            "connection_error",
        ),
        (
            [True, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab"],
            None,
            "invalid_response",
        ),
        ([True, b"220 mail.example.test ESMTP\r\n"], None, "invalid_response"),
        ([True, b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"], None, "invalid_response"),
        ([True, b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"], None, "invalid_response"),
        ([True, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000], None, "invalid_response"),
        ([True, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n"], None, "too_many_headers"),
    ],
)
def test_a_broken_response_is_an_error_code_and_never_raises(script, status, error):
    outcome, server = exchange(*script)

    assert (outcome.status, outcome.error) == (status, error)
    assert outcome.message
    assert server.connections == 1  # only reused connections are retried


def test_a_compressed_response_is_not_decompressed():
    bomb = gzip.compress(bytes(10_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    outcome, _ = exchange(True, head + bomb)

    assert outcome.body == bomb[:CAP]


def test_a_refused_connection_is_reported():
    async def run():
        async with Server().running() as server:
            pass
        async with OutboundClient(LOOPBACK, lookup=lookup) as client:
            return await post(client, server)

    outcome = asyncio.run(run())

    assert (outcome.status, outcome.error) == (None, "connection_refused")
    assert outcome.address == "127.0.0.1"


def test_a_name_that_does_not_exist_is_a_dns_error():
    outcome, server = exchange(True, OK, host="nowhere.invalid")

    assert (outcome.status, outcome.error, outcome.address) == (None, "dns_error", "")
    assert outcome.message == "nowhere.invalid could not be resolved: Name or service not known"
    assert server.connections == 0


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://10.0.0.1/", "unsafe_address"),
        ("http://[::1]/", "unsafe_address"),
        ("http://2130706433/", "invalid_url"),
        ("nonsense", "invalid_url"),
    ],
)
def test_a_refused_url_is_not_requested(url, error):
    outcome = fetch(url, policy=LOOPBACK, timeout=1, max_body=10)

    assert (outcome.status, outcome.error, outcome.address) == (None, error, "")


def test_the_connector_refuses_an_unchecked_literal_address():
    async def run():
        strict = OutboundPolicy(allow_http=True)
        resolver = CheckedResolver(strict)
        connector = GuardedConnector(policy=strict, resolver=resolver, limit=1, max_open=1)
        current_connection.set(ConnectionInfo())
        async with (
            Server(True, OK).running() as server,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            with pytest.raises(UnsafeAddress, match=r"127\.0\.0\.1 is a loopback address"):
                await session.get(f"http://127.0.0.1:{server.port}/")
        await resolver.close()
        return server.connections

    assert asyncio.run(run()) == 0


def test_connections_are_reused_and_cookies_are_not_stored():
    response = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"

    async def run():
        async with (
            Server(*[True, response] * 5).running() as server,
            OutboundClient(LOOPBACK, lookup=lookup) as client,
        ):
            outcomes = [await post(client, server) for _ in range(5)]
            return outcomes, server

    outcomes, server = asyncio.run(run())

    assert [outcome.address for outcome in outcomes] == ["127.0.0.1"] * 5
    assert server.connections == 1
    assert not any("Cookie" in headers for _, headers, _ in server.requests)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_reused_connection_that_the_server_closed_is_replaced_once(new_loop):
    async def run():
        async with (
            Server(
                True, OK, True
            ).running() as server,  # closes the connection on every second request
            OutboundClient(LOOPBACK, lookup=lookup) as client,
        ):
            first, second = await post(client, server), await post(client, server)
            return first, second, server

    with asyncio.Runner(loop_factory=new_loop) as runner:
        first, second, server = runner.run(run())

    assert first.succeeded
    assert second.succeeded
    assert server.connections == 2
    assert len(server.requests) == 3


def test_idle_connections_above_the_maximum_are_closed():
    async def run():
        async with (
            Server(True, 0.05, OK, True).running() as server,
            OutboundClient(LOOPBACK, lookup=lookup, limit=10, max_open=2) as client,
        ):
            await asyncio.gather(*[post(client, server) for _ in range(6)])
            await asyncio.sleep(0.05)
            return server.connections, server.open

    assert asyncio.run(run()) == (6, 2)


def test_requests_in_flight_are_limited():
    async def run():
        async with (
            Server(True, 0.1, OK).running() as server,
            OutboundClient(LOOPBACK, lookup=lookup, limit=2) as client,
        ):
            started = time.perf_counter()
            outcomes = await asyncio.gather(*[post(client, server) for _ in range(6)])
            return outcomes, time.perf_counter() - started

    outcomes, seconds = asyncio.run(run())

    assert all(outcome.succeeded for outcome in outcomes)
    assert seconds > 0.29


def test_proxy_environment_variables_are_ignored(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9")

    outcome, _ = exchange(True, OK)

    assert outcome.succeeded


def test_a_large_body_is_sent_completely():
    body = os.urandom(3 * 2**20)
    outcome, server = exchange(True, OK, body=body, timeout=5)

    assert outcome.succeeded
    assert server.requests[0][2] == body


def test_fetch_sends_one_get():
    async def run():
        async with Server(True, OK).running() as server:
            url = f"http://127.0.0.1:{server.port}/raw"
            return await asyncio.to_thread(
                fetch, url, policy=LOOPBACK, timeout=2, max_body=CAP
            ), server

    outcome, server = asyncio.run(run())

    assert (outcome.status, outcome.body) == (200, b"ok")
    assert server.requests[0][0] == "GET /raw HTTP/1.1"
