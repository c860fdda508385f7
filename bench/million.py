"""(m) A million pending deliveries: the time of a claim, and the memory of delivering."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import psutil

from bench.cpu import CpuMeter
from bench.helpers import sink
from bench.results import FEW, MANY, Figure, claim_figure
from bench.rows import add_endpoints, create_deliveries, write_dispatched_events
from bench.system import System

_LIMITS = (400, 20)
_CLAIMS = 200
_DRAINING = 20.0
_WARM_UP = 5.0  # seconds after which memory must stay flat
_MAX_GROWTH = 10.0  # percent
_SAMPLE_EVERY = 0.5  # seconds

_DELIVERED = "SELECT count(*) FROM webhook_deliveries WHERE status = 'success'"


def with_million_pending(system: System) -> Iterator[Figure]:
    """Claims with few and with many pending, for one endpoint and for 50; then a worker."""
    with sink() as (port, _):
        write_dispatched_events(system, count=MANY)
        system.vacuum()
        endpoints = add_endpoints(system, port=port, count=50, events=["email.*"])
        yield from _compare_claims(system, endpoints[:1])
        yield from _compare_claims(system, endpoints)
        yield _drained(system)
    system.empty()


def _compare_claims(system: System, endpoints: Sequence[UUID]) -> Iterator[Figure]:
    """Leaves MANY pending deliveries behind."""
    few = _time_claims(system, endpoints, pending=FEW)
    many = _time_claims(system, endpoints, pending=MANY)
    for limit in _LIMITS:
        before, after = few[limit], many[limit]
        yield _figure(before, limit=limit, pending=FEW, endpoints=len(endpoints))
        yield _figure(after, limit=limit, pending=MANY, endpoints=len(endpoints), before=before)


def _time_claims(
    system: System, endpoints: Sequence[UUID], *, pending: int
) -> dict[int, list[float]]:
    """{limit: milliseconds of each claim}"""
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
    target = f"{endpoints} endpoint{'s' if endpoints > 1 else ''}"
    return claim_figure("m", f"claims of {limit}, {pending:,} pending, {target}", times, before)


@dataclass(frozen=True, slots=True)
class _Memory:
    """Resident megabytes of a process, sampled every _SAMPLE_EVERY seconds."""

    samples: list[float]

    @property
    def warmed_up(self) -> float:
        return self.samples[int(_WARM_UP / _SAMPLE_EVERY)]

    @property
    def growth(self) -> float:
        """In percent, from the end of the warm-up to the end."""
        return 100 * (self.samples[-1] / self.warmed_up - 1)

    @property
    def notes(self) -> dict[str, float | str]:
        return {
            "MB before": round(self.samples[0]),
            f"after {_WARM_UP:.0f} s": round(self.warmed_up),
            "at the end": round(self.samples[-1]),
            "at most": round(max(self.samples)),
            "growth": f"{self.growth:+.1f} % (at most {_MAX_GROWTH:.0f} %)",
        }


def _drained(system: System) -> Figure:
    with system.worker():
        system.vacuum()
        meter, began = CpuMeter(system.roots), time.monotonic()
        process = psutil.Process(system.worker_pid("webhooks"))
        samples = [_megabytes(process)]
        system.hint()
        while time.monotonic() - began < _DRAINING:
            time.sleep(_SAMPLE_EVERY)
            samples.append(_megabytes(process))
        delivered, ended = system.count(_DELIVERED), time.monotonic()
        spent = meter.spent()
    memory = _Memory(samples)
    return Figure(
        part="m",
        name=f"webhooks delivered of {MANY:,} pending",
        operations=delivered,
        seconds=ended - began,
        cpu=spent,
        notes=memory.notes,
        missed=f"memory grew by {memory.growth:.1f} %" if memory.growth > _MAX_GROWTH else "",
    )


def _megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 1e6
