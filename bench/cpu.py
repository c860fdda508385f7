"""CPU seconds (user and system) of each process, which stay comparable on a busy machine."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress

import psutil


class CpuMeter:
    """Measures from its creation; `roots` maps names to the root process of each tree."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = dict(roots)
        self._before = self._totals()

    def spent(self) -> dict[str, float]:
        after = self._totals()
        return {name: round(after[name] - self._before.get(name, 0.0), 3) for name in after}

    def _totals(self) -> dict[str, float]:
        totals: defaultdict[str, float] = defaultdict(float)
        for name, pid in self._roots.items():
            with suppress(psutil.NoSuchProcess):
                root = psutil.Process(pid)
                for process in [root, *root.children(recursive=True)]:
                    with suppress(psutil.NoSuchProcess):
                        totals[_group(name, process)] += _seconds(process)
        return dict(totals)


def _seconds(process: psutil.Process) -> float:
    # Includes exited children, so that nothing is lost between two measurements.
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _group(name: str, process: psutil.Process) -> str:
    """Split the worker's processes by their queue."""
    if name != "worker":
        return name
    arguments = process.cmdline()
    return f"worker:{arguments[arguments.index('-Q') + 1]}" if "-Q" in arguments else name
