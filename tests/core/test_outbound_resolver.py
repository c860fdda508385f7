"""Names: every address judged, the judged one dialled, and no name holding up another."""

import asyncio
import socket
import time

import pytest

from core.outbound import OutboundClient, OutboundPolicy, UnsafeAddress
from core.outbound import resolver as resolver_module
from core.outbound.resolver import CheckedResolver, DnsError, system_lookup

STRICT = OutboundPolicy()
LOOPBACK = OutboundPolicy.opening(["127.0.0.0/8"], allow_http=True)


class Names:
    """A DNS of our own: each name has a list of answers, given one after the other."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def __call__(self, name):
        self.asked.append(name)
        answers = self.answers[name.partition(".")[0]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            time.sleep(answer)
            return ["1.1.1.1"]
        return answer


def resolve(names, *hosts, policy=STRICT, pause=0.0, **options):
    """Resolve the hosts one after the other: addresses, or the exception."""

    async def run():
        resolver = CheckedResolver(policy, lookup=names, **options)
        found = []
        for host in hosts:
            try:
                results = await resolver.resolve(host, 443)
                found.append([result["host"] for result in results])
            except (DnsError, UnsafeAddress) as error:
                found.append(error)
            await asyncio.sleep(pause)
        await resolver.close()
        return found

    return asyncio.run(run())


def test_the_checked_addresses_are_the_ones_to_dial():
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
def test_one_bad_address_refuses_the_whole_name(addresses):
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


def test_a_silent_name_is_given_up_and_holds_up_no_other():
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


def test_all_who_wait_for_a_name_share_one_lookup():
    async def run():
        names = Names(busy=[0.05])
        resolver = CheckedResolver(STRICT, lookup=names)
        tasks = [asyncio.create_task(resolver.resolve("busy.example.com", n)) for n in range(50)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()  # one that gives up must not take the others along
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await resolver.close()
        return names.asked, results

    asked, results = asyncio.run(run())

    assert asked == ["busy.example.com"]
    assert isinstance(results[0], asyncio.CancelledError)
    assert [result[0]["port"] for result in results[1:]] == list(range(1, 50))


def test_an_answer_is_remembered_for_a_few_seconds(monkeypatch):
    monkeypatch.setattr(resolver_module, "CACHE_SECONDS", 0.2)
    names = Names(good=[["1.1.1.1"], ["1.0.0.1"]])
    found = resolve(names, *["good.example.com"] * 3, pause=0.12)

    assert found == [["1.1.1.1"], ["1.1.1.1"], ["1.0.0.1"]]


def test_a_refusal_is_remembered_for_less(monkeypatch):
    assert resolver_module.NEGATIVE_CACHE_SECONDS <= 1
    monkeypatch.setattr(resolver_module, "NEGATIVE_CACHE_SECONDS", 0.2)
    names = Names(flaky=[["10.0.0.1"], ["1.1.1.1"]])
    first, second, third = resolve(names, *["flaky.example.com"] * 3, pause=0.12)

    assert isinstance(first, UnsafeAddress)
    assert isinstance(second, UnsafeAddress)
    assert second is not first
    assert third == ["1.1.1.1"]


def test_the_memory_for_names_is_bounded(monkeypatch):
    monkeypatch.setattr(resolver_module, "CACHE_NAMES", 2)
    names = Names(a=[["1.1.1.1"]], b=[["1.1.1.1"]], c=[["1.1.1.1"]])
    resolve(names, "a", "b", "c", "b", "a")

    assert names.asked == ["a", "b", "c", "a"]


def test_a_family_is_picked_on_demand():
    async def run():
        names = Names(dual=[["1.1.1.1", "2606:4700::1111"]], four=[["1.1.1.1"]])
        resolver = CheckedResolver(STRICT, lookup=names)
        six = await resolver.resolve("dual.example.com", 443, socket.AF_INET6)
        with pytest.raises(DnsError, match="no address of the wanted family"):
            await resolver.resolve("four.example.com", 443, socket.AF_INET6)
        await resolver.close()
        return [result["host"] for result in six]

    assert asyncio.run(run()) == ["2606:4700::1111"]


def test_the_system_resolves_localhost_from_its_own_files():
    assert set(system_lookup("localhost")) & {"127.0.0.1", "::1"}


def rebinding(names, requests, policy=LOOPBACK):
    """Requests to a name at a server that closes each connection, so that each one dials anew."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def run():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, OutboundClient(policy, lookup=names) as client:
            return [
                await client.request(
                    "GET", f"http://turns.example.com:{port}/", headers={}, timeout=1, max_body=10
                )
                for _ in range(requests)
            ]

    return asyncio.run(run())


def test_a_name_that_changes_after_the_check_is_dialled_where_it_was_checked():
    names = Names(turns=[["127.0.0.1"], ["10.0.0.1"]])
    [outcome] = rebinding(names, 1)

    assert (outcome.status, outcome.address) == (204, "127.0.0.1")
    assert names.asked == ["turns.example.com"]


def test_a_name_that_has_turned_bad_is_refused_at_the_next_look(monkeypatch):
    monkeypatch.setattr(resolver_module, "CACHE_SECONDS", 0.0)
    names = Names(turns=[["127.0.0.1"], ["127.0.0.1", "10.0.0.1"]])
    first, second = rebinding(names, 2)

    assert first.status == 204
    assert (second.status, second.error, second.address) == (None, "unsafe_address", "")
    assert "10.0.0.1, which is a private address (RFC 1918)" in second.message


def test_a_second_address_is_tried_when_the_first_refuses():
    [outcome] = rebinding(Names(turns=[["127.0.0.2", "127.0.0.1"]]), 1)

    assert (outcome.status, outcome.address) == (204, "127.0.0.1")
