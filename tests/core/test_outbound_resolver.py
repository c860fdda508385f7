"""DNS: every address is checked, only checked ones are used, and no name delays another."""

import asyncio
import socket
import time

import pytest

from core.outbound import OutboundClient, OutboundPolicy, UnsafeAddress
from core.outbound import resolver as resolver_module
from core.outbound.resolver import CheckedResolver, DnsError, system_lookup

STRICT = OutboundPolicy()
LOOPBACK = OutboundPolicy.allowing(["127.0.0.0/8"], allow_http=True)


class Names:
    """A fake DNS: each name has a list of answers, returned one after the other."""

    def __init__(self, **answers):
        self.answers, self.queries = answers, []

    def __call__(self, name):
        self.queries.append(name)
        answers = self.answers[name.partition(".")[0]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            time.sleep(answer)
            return ["1.1.1.1"]
        return answer


def resolve(names, *hosts, policy=STRICT, pause=0.0, **options):
    """Resolve the hosts in sequence: for each, its addresses or the exception."""

    async def run():
        resolver = CheckedResolver(policy, lookup=names, **options)
        outcomes = []
        for host in hosts:
            try:
                results = await resolver.resolve(host, 443)
                outcomes.append([result["host"] for result in results])
            except (DnsError, UnsafeAddress) as error:
                outcomes.append(error)
            await asyncio.sleep(pause)
        await resolver.close()
        return outcomes

    return asyncio.run(run())


def test_the_checked_addresses_are_returned():
    names = Names(good=[["1.1.1.1", "2606:4700::1111", "1.1.1.1"]])

    assert resolve(names, "good.example.com") == [["1.1.1.1", "2606:4700::1111"]]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["1.1.1.1", "10.0.0.1"],
        ["10.0.0.1", "1.1.1.1"],
        ["1.1.1.1", "::1"],
        ["1.1.1.1", "fe80::1%eth0"],
        ["1.1.1.1", "::ffff:169.254.169.254"],
        ["1.1.1.1", "64:ff9b::a00:1"],
        ["1.1.1.1", "garbage"],
    ],
)
def test_one_unsafe_address_refuses_the_whole_name(addresses):
    [error] = resolve(Names(mixed=[addresses]), "mixed.example.com")

    assert isinstance(error, UnsafeAddress)
    assert str(error).startswith("mixed.example.com resolves to ")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (UnicodeError("label too long"), "label too long"),
        ([], "has no address"),
    ],
)
def test_a_name_without_addresses_is_a_dns_error(answer, message):
    [error] = resolve(Names(none=[answer]), "none.example.com")

    assert isinstance(error, DnsError)
    assert message in str(error)


def test_a_name_without_response_times_out_and_delays_no_other():
    async def run():
        names = Names(silent=[0.5], good=[["1.1.1.1"]])
        resolver = CheckedResolver(STRICT, lookup=names, timeout=0.1, threads=2)
        silent = asyncio.create_task(resolver.resolve("silent.example.com"))
        await asyncio.sleep(0)
        started = time.perf_counter()
        await resolver.resolve("good.example.com")
        good_took = time.perf_counter() - started
        with pytest.raises(DnsError, match=r"within 0\.1 s"):
            await silent
        await resolver.close()
        return good_took

    assert asyncio.run(run()) < 0.08


def test_concurrent_requests_for_a_name_share_one_lookup():
    async def run():
        names = Names(busy=[0.05])
        resolver = CheckedResolver(STRICT, lookup=names)
        tasks = [asyncio.create_task(resolver.resolve("busy.example.com", n)) for n in range(50)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()  # a cancelled waiter must not cancel the others
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await resolver.close()
        return names.queries, results

    queries, results = asyncio.run(run())

    assert queries == ["busy.example.com"]
    assert isinstance(results[0], asyncio.CancelledError)
    assert [result[0]["port"] for result in results[1:]] == list(range(1, 50))


def test_addresses_are_cached_for_a_few_seconds(monkeypatch):
    monkeypatch.setattr(resolver_module, "CACHE_SECONDS", 0.2)
    names = Names(good=[["1.1.1.1"], ["1.0.0.1"]])
    results = resolve(names, *["good.example.com"] * 3, pause=0.12)

    assert results == [["1.1.1.1"], ["1.1.1.1"], ["1.0.0.1"]]


def test_a_refusal_is_cached_for_a_shorter_time(monkeypatch):
    assert resolver_module.NEGATIVE_CACHE_SECONDS <= 1
    monkeypatch.setattr(resolver_module, "NEGATIVE_CACHE_SECONDS", 0.2)
    names = Names(flaky=[["10.0.0.1"], ["1.1.1.1"]])
    first, second, third = resolve(names, *["flaky.example.com"] * 3, pause=0.12)

    assert isinstance(first, UnsafeAddress)
    assert isinstance(second, UnsafeAddress)
    assert second is not first
    assert third == ["1.1.1.1"]


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(resolver_module, "CACHE_NAMES", 2)
    names = Names(a=[["1.1.1.1"]], b=[["1.1.1.1"]], c=[["1.1.1.1"]])
    resolve(names, "a", "b", "c", "b", "a")

    assert names.queries == ["a", "b", "c", "a"]


def test_addresses_can_be_limited_to_one_family():
    async def run():
        names = Names(dual=[["1.1.1.1", "2606:4700::1111"]], four=[["1.1.1.1"]])
        resolver = CheckedResolver(STRICT, lookup=names)
        six = await resolver.resolve("dual.example.com", 443, socket.AF_INET6)
        with pytest.raises(DnsError, match="no address of the requested family"):
            await resolver.resolve("four.example.com", 443, socket.AF_INET6)
        await resolver.close()
        return [result["host"] for result in six]

    assert asyncio.run(run()) == ["2606:4700::1111"]


def test_the_system_resolver_knows_localhost():
    assert set(system_lookup("localhost")) & {"127.0.0.1", "::1"}


def rebind(names, requests, policy=LOOPBACK):
    """Requests to a name whose server closes each connection, so each request reconnects."""

    async def respond(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def run():
        server = await asyncio.start_server(respond, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, OutboundClient(policy, lookup=names) as client:
            return [
                await client.request(
                    "GET", f"http://turns.example.com:{port}/", headers={}, timeout=1, max_body=10
                )
                for _ in range(requests)
            ]

    return asyncio.run(run())


def test_a_name_that_changes_after_the_check_uses_the_checked_address():
    names = Names(turns=[["127.0.0.1"], ["10.0.0.1"]])
    [outcome] = rebind(names, 1)

    assert (outcome.status, outcome.address) == (204, "127.0.0.1")
    assert names.queries == ["turns.example.com"]


def test_a_name_that_becomes_unsafe_is_refused_at_the_next_lookup(monkeypatch):
    monkeypatch.setattr(resolver_module, "CACHE_SECONDS", 0.0)
    names = Names(turns=[["127.0.0.1"], ["127.0.0.1", "10.0.0.1"]])
    first, second = rebind(names, 2)

    assert first.status == 204
    assert (second.status, second.error, second.address) == (None, "unsafe_address", "")
    assert "10.0.0.1, which is a private address (RFC 1918)" in second.message


def test_the_second_address_is_tried_if_the_first_refuses_the_connection():
    [outcome] = rebind(Names(turns=[["127.0.0.2", "127.0.0.1"]]), 1)

    assert (outcome.status, outcome.address) == (204, "127.0.0.1")
