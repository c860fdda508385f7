"""(i) The effect of four bad endpoints on a healthy one: one hangs, one refuses connections, one
responds with 500, and one has a host name that does not resolve."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bench.cpu import CpuMeter
from bench.helpers import sink
from bench.results import Figure
from bench.rows import add_endpoint, write_deliveries
from bench.system import System, expect

_WARM = 500
_BOUND = 60.0
_MAX_INCREASE = 15.0  # percent by which the p95 may increase
_EVENTS = ["email.*"]

_OPEN = "SELECT FROM webhook_deliveries WHERE next_attempt_at IS NOT NULL AND endpoint_id = '{}'"
# From the time at which the deliveries became due to the start of each first attempt.
_LATENCIES = """
    SELECT extract(epoch FROM attempt.at - %s)::float8 * 1000
      FROM webhook_attempts AS attempt
      JOIN webhook_deliveries AS delivery ON delivery.id = delivery_id
     WHERE endpoint_id = %s AND number = 1 AND attempt.at >= %s ORDER BY 1
"""
# Requests in flight have no attempt row yet.
_REQUESTS = """
    SELECT coalesce(sum(attempts), 0) + count(*) FILTER (WHERE status = 'attempting')
      FROM webhook_deliveries WHERE endpoint_id = '{}'
"""


@dataclass(frozen=True, slots=True)
class _Setting:
    """`rounds` of each kind, alternating, with `count` deliveries to every endpoint."""

    delay_ms: int
    count: int
    rounds: int


_SETTINGS = (_Setting(0, 5_000, 3), _Setting(50, 2_000, 1))


@dataclass(frozen=True, slots=True)
class _Round:
    """One round: latencies in ms, ascending, CPU seconds, and requests to the bad endpoints."""

    latencies: list[float]
    cpu: dict[str, float]
    requests: dict[str, int]

    @property
    def p95(self) -> float:
        return self.at(0.95)

    def at(self, part: float) -> float:
        return self.latencies[min(int(len(self.latencies) * part), len(self.latencies) - 1)]


def isolated(system: System) -> Iterator[Figure]:
    """One healthy endpoint alone, then beside the bad ones: how its p95 changes."""
    for setting in _SETTINGS:
        alone, beside = [], []
        for _ in range(setting.rounds):
            alone.append(_play(system, setting, bad=False))
            beside.append(_play(system, setting, bad=True))
        yield from _compare(setting, alone, beside)


def _compare(setting: _Setting, alone: list[_Round], beside: list[_Round]) -> Iterator[Figure]:
    before, after = _median(alone), _median(beside)
    moved = 100 * (after.p95 / before.p95 - 1)
    healthy = f"healthy endpoint, {setting.delay_ms} ms"
    yield _figure(f"{healthy}, alone", before, notes=_p95s(alone))
    yield _figure(
        f"{healthy}, beside four bad ones",
        after,
        notes={
            **_p95s(beside),
            "p95 moved by": f"{moved:+.1f} % (at most {_MAX_INCREASE:.0f} %)",
            **{f"requests, {name}": count for name, count in after.requests.items()},
        },
        missed=f"the p95 moved by {moved:+.1f} %" if moved >= _MAX_INCREASE else "",
    )


def _figure(name: str, of: _Round, *, notes: dict[str, float | str], missed: str = "") -> Figure:
    return Figure(
        part="i",
        name=name,
        operations=len(of.latencies),
        seconds=of.latencies[-1] / 1000,
        cpu=of.cpu,
        p50=of.at(0.5),
        p95=of.p95,
        slowest=of.latencies[-1],
        notes=notes,
        missed=missed,
    )


def _play(system: System, setting: _Setting, *, bad: bool) -> _Round:
    """Play one round from an empty state, until the healthy endpoint has received everything."""
    system.empty()
    # The bad endpoints stop before the worker does, because it waits for requests in flight.
    with (
        sink(delay_ms=setting.delay_ms) as (port, pid),
        system.worker(),
        _bad_endpoints(system, bad) as bad_ones,
    ):
        healthy = add_endpoint(system, f"http://127.0.0.1:{port}/", events=_EVENTS)
        write_deliveries(system, [healthy], count=_WARM)
        system.hint()
        system.until_none(_OPEN.format(healthy), seconds=_BOUND)
        endpoints = [healthy, *bad_ones.values()]
        write_deliveries(system, endpoints, count=setting.count * len(endpoints))
        system.vacuum()
        meter, due = CpuMeter(system.roots | {"sink": pid}), _now(system)
        system.hint()
        system.until_none(_OPEN.format(healthy), seconds=_BOUND)
        spent = meter.spent()
        requests = {name: system.count(_REQUESTS.format(key)) for name, key in bad_ones.items()}
        expect(system, _REQUESTS.format(healthy), _WARM + setting.count)
        rows = system.database.execute(_LATENCIES, [due, healthy, due]).fetchall()
        return _Round([latency for (latency,) in rows], spent, requests)


@contextmanager
def _bad_endpoints(system: System, enabled: bool) -> Iterator[dict[str, UUID]]:
    """{problem: endpoint id} of the four bad endpoints; empty unless `enabled`."""
    if not enabled:
        yield {}
        return
    with (
        sink(status=0) as (hanging, _),
        sink(status=500) as (failing, _),
        socket.socket() as closed,
    ):
        closed.bind(("127.0.0.1", 0))  # reserves the port without listening
        urls = {
            "hanging": f"http://127.0.0.1:{hanging}/",
            "refusing": f"http://127.0.0.1:{closed.getsockname()[1]}/",
            "answering 500": f"http://127.0.0.1:{failing}/",
            "without DNS": "http://nowhere.invalid:8080/",
        }
        yield {name: add_endpoint(system, url, events=_EVENTS) for name, url in urls.items()}


def _median(rounds: list[_Round]) -> _Round:
    return sorted(rounds, key=lambda each: each.p95)[len(rounds) // 2]


def _p95s(rounds: list[_Round]) -> dict[str, float | str]:
    if len(rounds) == 1:
        return {}
    return {"p95 of the rounds ms": " ".join(f"{each.p95:,.0f}" for each in rounds)}


def _now(system: System) -> datetime:
    row = system.database.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now
