"""Figures as a table for people and as JSON for comparing."""

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`operations` done in `seconds`; `cpu` in seconds by process, latencies in milliseconds.

    `target` is in operations a second, 0 where there is none.
    """

    part: str
    name: str
    operations: int
    seconds: float
    cpu: dict[str, float]
    target: float = 0
    p50: float | None = None
    p99: float | None = None
    notes: dict[str, float | str] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.operations / self.seconds

    @property
    def cpu_ms(self) -> dict[str, float]:
        """Milliseconds of CPU for one operation."""
        shares = {
            name: round(spent * 1000 / self.operations, 3) for name, spent in self.cpu.items()
        }
        return {name: share for name, share in shares.items() if share >= 0.005}


def line(figure: Figure) -> str:
    latency = "" if figure.p50 is None else f"p50 {figure.p50:.1f} ms, p99 {figure.p99:.1f} ms"
    target = f"(target {figure.target:,.0f})" if figure.target else ""
    shares = figure.cpu_ms
    parts = " ".join(f"{name} {share:.2f}" for name, share in shares.items())
    notes = "".join(f"; {name} {value}" for name, value in figure.notes.items())
    return (
        f"{figure.part}  {figure.name:<44} {figure.rate:>8,.0f}/s {target:<15} {latency}\n"
        f"     {figure.operations:,} in {figure.seconds:.1f} s; CPU ms each: "
        f"{sum(shares.values()):.2f} = {parts}{notes}"
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


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return names[0] if names else platform.processor()
