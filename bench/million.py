"""(m) A million deliveries pending: what a claim takes then, and what memory delivering takes."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import psutil

from bench.cpu import CpuMeter
from bench.helpers import sink
from bench.results import FEW, MANY, Figure, claims
from bench.rows import add_endpoints, create_deliveries, write_dispatched_events
from bench.system import System

_LIMITS = (400, 20)
_CLAIMS = 200
_DRAINING = 20.0
_SETTLED = 5.0  # seconds after which memory is to be flat
_GROWTH = 10.0  # percent
_LOOK = 0.5

_DELIVERED = "SELECT count(*) FROM webhook_deliveries WHERE status = 'success'"


def kept_up(system: System) -> Iterator[Figure]:
    """Claims with few and with very many pending, for one endpoint and for 50; then a worker."""
    with sink() as (port, _):
        write_dispatched_events(system, count=MANY)
        system.vacuum()
        endpoints = add_endpoints(system, port=port, count=50, events=["email.*"])
        yield from _claimed(system, endpoints[:1])
        yield from _claimed(system, endpoints)
        yield _drained(system)
    system.empty()


def _claimed(system: System, endpoints: Sequence[UUID]) -> Iterator[Figure]:
    """Leaves MANY pending behind."""
    few = _timed(system, endpoints, pending=FEW)
    many = _timed(system, endpoints, pending=MANY)
    for limit in _LIMITS:
        before, after = few[limit], many[limit]
        yield _figure(before, limit=limit, pending=FEW, endpoints=len(endpoints))
        yield _figure(after, limit=limit, pending=MANY, endpoints=len(endpoints), before=before)


def _timed(system: System, endpoints: Sequence[UUID], *, pending: int) -> dict[int, list[float]]:
    """The milliseconds of claims, by their limit."""
    create_deliveries(system, endpoints, count=pending)
    times = {}
    for limit in _LIMITS:
        system.vacuum()
        times[limit] = json.loads(system.run("bench.claims", str(limit), str(_CLAIMS)))
    return times


def _figure(
    times: list[float],
    *,
    limit: int,
    pending: int,
    endpoints: int,
    before: Sequence[float] = (),
) -> Figure:
    whose = f"{endpoints} endpoint{'s' if endpoints > 1 else ''}"
    return claims("m", f"claims of {limit}, {pending:,} pending, {whose}", times, before)


@dataclass(frozen=True, slots=True)
class _Memory:
    """Resident megabytes of a process, as looked at every _LOOK seconds."""

    looks: list[float]

    @property
    def settled(self) -> float:
        return self.looks[int(_SETTLED / _LOOK)]

    @property
    def growth(self) -> float:
        """In percent, from when it had settled to the end."""
        return 100 * (self.looks[-1] / self.settled - 1)

    @property
    def notes(self) -> dict[str, float | str]:
        return {
            "MB before": round(self.looks[0]),
            f"after {_SETTLED:.0f} s": round(self.settled),
            "at the end": round(self.looks[-1]),
            "at most": round(max(self.looks)),
            "growth": f"{self.growth:+.1f} % (at most {_GROWTH:.0f} %)",
        }


def _drained(system: System) -> Figure:
    with system.worker():
        system.vacuum()
        meter, began = CpuMeter(system.roots), time.monotonic()
        process = psutil.Process(system.worker_pid("webhooks"))
        looks = [_megabytes(process)]
        system.hint()
        while time.monotonic() - began < _DRAINING:
            time.sleep(_LOOK)
            looks.append(_megabytes(process))
        delivered, ended = system.count(_DELIVERED), time.monotonic()
        spent = meter.spent()
    memory = _Memory(looks)
    return Figure(
        part="m",
        name=f"webhooks delivered of {MANY:,} pending",
        operations=delivered,
        seconds=ended - began,
        cpu=spent,
        notes=memory.notes,
        missed=f"memory grew by {memory.growth:.1f} %" if memory.growth > _GROWTH else "",
    )


def _megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 1e6
