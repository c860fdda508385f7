"""Figures as a table for people and as JSON for comparison."""

import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

FEW, MANY = 1_000, 1_000_000  # pending rows while claims are timed
MAX_RATIO = 2.0  # of the p95 of a claim between the two


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`operations` done in `seconds`; `cpu` in seconds by process, latencies in milliseconds.

    `target` is in operations per second, 0 if there is none. A non-empty `missed` describes a limit
    that was exceeded and fails the benchmark.
    """

    part: str
    name: str
    operations: int
    seconds: float
    cpu: dict[str, float]
    target: float = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    slowest: float | None = None
    notes: dict[str, float | str] = field(default_factory=dict)
    missed: str = ""

    @property
    def rate(self) -> float:
        return self.operations / self.seconds

    @property
    def cpu_ms(self) -> dict[str, float]:
        """Milliseconds of CPU per operation."""
        shares = {
            name: round(spent * 1000 / self.operations, 3) for name, spent in self.cpu.items()
        }
        return {name: share for name, share in shares.items() if share >= 0.005}


def claim_figure(
    part: str, name: str, times: Sequence[float], before: Sequence[float] = ()
) -> Figure:
    """The figure of claims from their milliseconds, compared with those at FEW pending rows."""
    p95 = _p95(times)
    ratio = p95 / _p95(before) if before else 0.0
    return Figure(
        part=part,
        name=name,
        operations=len(times),
        seconds=sum(times) / 1000,
        cpu={},
        p50=statistics.median(times),
        p95=p95,
        slowest=max(times),
        notes={f"p95 against {FEW:,}": f"{ratio:.2f} (at most {MAX_RATIO:g})"} if before else {},
        missed=f"the p95 is {ratio:.2f} times that at {FEW:,}" if ratio > MAX_RATIO else "",
    )


def _p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


def line(figure: Figure) -> str:
    target = f"(target {figure.target:,.0f})" if figure.target else ""
    notes = "".join(f"; {name} {value}" for name, value in figure.notes.items())
    missed = f"\n     MISSED: {figure.missed}" if figure.missed else ""
    return (
        f"{figure.part}  {figure.name:<44} {figure.rate:>8,.0f}/s {target:<15} {_latency(figure)}\n"
        f"     {figure.operations:,} in {figure.seconds:.1f} s{_cpu(figure)}{notes}{missed}"
    )


def write(path: Path, figures: list[Figure], *, command: str) -> None:
    content = {
        "command": command,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "figures": [
            asdict(each) | {"rate": round(each.rate, 1), "cpu_ms": each.cpu_ms} for each in figures
        ],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def machine() -> dict[str, str | int | float]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _latency(figure: Figure) -> str:
    known = {"p50": figure.p50, "p95": figure.p95, "p99": figure.p99, "max": figure.slowest}
    return ", ".join(f"{name} {ms:.1f} ms" for name, ms in known.items() if ms is not None)


def _cpu(figure: Figure) -> str:
    shares = figure.cpu_ms
    if not shares:
        return ""
    parts = " ".join(f"{name} {share:.2f}" for name, share in shares.items())
    return f"; CPU ms each: {sum(shares.values()):.2f} = {parts}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return names[0] if names else platform.processor()
