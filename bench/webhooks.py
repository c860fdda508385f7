"""(c) Webhooks delivered, with every attempt recorded."""

import time
from collections.abc import Iterator

from bench.cpu import CpuMeter
from bench.helpers import sink
from bench.results import Figure
from bench.rows import add_endpoints, write_deliveries
from bench.system import System, expect

_ENDPOINTS = 50
_BACKLOG = 24_000
_WARM = 500
_BOUND = 90.0

_UNDELIVERED = "SELECT FROM webhook_deliveries WHERE next_attempt_at IS NOT NULL"


def delivered(system: System) -> Iterator[Figure]:
    """A backlog of deliveries to a sink that responds at once, and to one that takes 50 ms."""
    for delay_ms, target in ((0, 3000), (50, 2500)):
        yield _drained(system, delay_ms=delay_ms, target=target)
        system.empty()


def _drained(system: System, *, delay_ms: int, target: float) -> Figure:
    with sink(delay_ms=delay_ms) as (port, pid), system.worker():
        endpoints = add_endpoints(system, port=port, count=_ENDPOINTS, events=["email.*"])
        write_deliveries(system, endpoints, count=_WARM)
        system.hint()
        system.until_none(_UNDELIVERED, seconds=_BOUND)
        write_deliveries(system, endpoints, count=_BACKLOG)
        system.vacuum()
        meter, began = CpuMeter(system.roots | {"sink": pid}), time.monotonic()
        system.hint()
        (ended,) = system.until_none(_UNDELIVERED, seconds=_BOUND)
        spent = meter.spent()
        everything = _BACKLOG + _WARM
        done = "SELECT count(*) FROM webhook_deliveries WHERE status = 'success'"
        expect(system, done, everything)
        expect(system, "SELECT count(*) FROM webhook_attempts WHERE number = 1", everything)
        return Figure(
            part="c",
            name=f"webhooks delivered, {_ENDPOINTS} endpoints, {delay_ms} ms",
            operations=_BACKLOG,
            seconds=ended - began,
            cpu=spent,
            target=target,
        )
