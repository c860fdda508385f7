"""(r) Whether the tables stop growing once as many rows are purged as written."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from bench.cpu import CpuMeter
from bench.helpers import sink
from bench.results import Figure
from bench.rows import add_endpoints, write_deliveries
from bench.system import System

_RETENTION = 20.0  # seconds
_DURATION = 120.0
_RATE = 1_000  # deliveries a second
_MAX_PENDING = 2_000  # a busy machine gets less work instead of a growing backlog
_ENDPOINTS = 50
_TICK = 0.25
_PRINT_EVERY = 15.0
_PURGE_EVERY = 2.0  # seconds; in production every minute, for retention of months
_MAX_GROWTH = 25.0  # percent by which the final size may exceed the plateau

_DAYS = str(_RETENTION / 86_400)
_SETTINGS = {"EVENT_RETENTION_DAYS": _DAYS, "ATTEMPT_RETENTION_DAYS": _DAYS}
_UNDELIVERED = "SELECT count(*) FROM webhook_deliveries WHERE next_attempt_at IS NOT NULL"
_TABLES = ("events", "webhook_deliveries", "webhook_attempts")


def constant_load(system: System) -> Iterator[Figure]:
    """A constant load with a retention of seconds: rows are written and purged at the same rate."""
    with sink() as (port, pid), system.worker(**_SETTINGS):
        endpoints = add_endpoints(system, port=port, count=_ENDPOINTS, events=["email.*"])
        meter, began = CpuMeter(system.roots | {"sink": pid}), time.monotonic()
        load = _Load(system, endpoints, began)
        load.run()
        seconds = time.monotonic() - began
        spent = meter.spent()
    yield Figure(
        part="r",
        name=f"deliveries written and forgotten after {_RETENTION:.0f} s",
        operations=load.written,
        seconds=seconds,
        cpu=spent,
        notes=load.notes,
        missed=load.missed,
    )


@dataclass
class _Load:
    system: System
    endpoints: list[UUID]
    began: float
    written: int = 0
    sizes: list[tuple[float, int]] = field(default_factory=list)  # (seconds, total bytes)

    def run(self) -> None:
        """Write at the rate for the duration, and trigger tasks like beat."""
        before = purged = printed = 0.0
        while (elapsed := self._elapsed()) < _DURATION:
            self._write(int(_RATE * (elapsed - before)))
            before = elapsed
            self.system.hint()
            if elapsed - purged > _PURGE_EVERY:
                self.system.purge()
                self.sizes.append((elapsed, self._bytes()))
                purged = elapsed
            if elapsed - printed > _PRINT_EVERY:
                print(self._state(elapsed), flush=True)
                printed = elapsed
            time.sleep(_TICK)

    @property
    def plateau(self) -> int:
        """The largest size in the second quarter: by then purging has begun, and freed space is
        reused."""
        return max(size for at, size in self.sizes if _DURATION / 4 < at < _DURATION / 2)

    @property
    def last(self) -> int:
        return self.sizes[-1][1]

    @property
    def growth(self) -> float:
        """In percent of the plateau."""
        return 100 * (self.last / self.plateau - 1)

    @property
    def remaining(self) -> int:
        return self.system.count("SELECT count(*) FROM events")

    @property
    def missed(self) -> str:
        if self.remaining > 2 * self.written * _RETENTION / _DURATION:
            return f"{self.remaining:,} of {self.written:,} events remain"
        return f"the tables grew by {self.growth:.0f} %" if self.growth > _MAX_GROWTH else ""

    @property
    def notes(self) -> dict[str, float | str]:
        return {
            "events at the end": f"{self.remaining:,}",
            "MB in the second quarter": round(self.plateau / 1e6, 1),
            "at the end": round(self.last / 1e6, 1),
            "growth": f"{self.growth:+.1f} % (at most {_MAX_GROWTH:.0f} %)",
        }

    def _write(self, count: int) -> None:
        if self.system.count(_UNDELIVERED) < _MAX_PENDING:
            write_deliveries(self.system, self.endpoints, count=count)
            self.written += count

    def _elapsed(self) -> float:
        return time.monotonic() - self.began

    def _bytes(self) -> int:
        return sum(self._size(table) for table in _TABLES)

    def _size(self, table: str) -> int:
        return self.system.count(f"SELECT pg_total_relation_size('{table}')")

    def _state(self, elapsed: float) -> str:
        parts = [
            f"{table} {self.system.count(f'SELECT count(*) FROM {table}'):,} rows"
            f" {self._size(table) / 1e6:.1f} MB"
            for table in _TABLES
        ]
        return f"     {elapsed:.0f} s: {', '.join(parts)}"
