"""Cleanup of orphans: processes of an earlier run whose supervisor was killed."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from devstack.embedded import terminate
from devstack.files import read_json, write_json

# Start times are relative to a boot time that shifts slightly with clock adjustments.
_TOLERANCE = 2.0


class ProcessRecords:
    """The processes started for a var dir, by session and start time, in `children.json`.

    Every command leads a session, and the kernel does not reuse a session's id while one of its
    processes is alive: that finds the children of a dead leader.
    """

    def __init__(self, var_dir: Path) -> None:
        self._var_dir = var_dir
        self._path = var_dir / "children.json"
        self._records: dict[str, dict[str, float]] = {}

    def add(self, name: str, pid: int) -> None:
        with suppress(psutil.NoSuchProcess):
            self._records[name] = {"pid": pid, "created": psutil.Process(pid).create_time()}
            write_json(self._path, self._records)

    def clear(self) -> None:
        self._records.clear()
        self._path.unlink(missing_ok=True)

    def kill_orphans(self) -> list[str]:
        """Kill processes of an earlier run that are still alive; returns their names."""
        killed = []
        for name, record in read_json(self._path).items():
            orphans = list(self._session(int(record["pid"]), created=float(record["created"])))
            for process in orphans:
                terminate(process, signals=[(signal.SIGKILL, 5.0)])
            if orphans:
                killed.append(name)
        self.clear()
        return killed

    def _session(self, leader: int, *, created: float) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if os.getsid(process.pid) != leader:
                    continue
                if self._is_ours(process, leader=leader, created=created):
                    yield process

    def _is_ours(self, process: psutil.Process, *, leader: int, created: float) -> bool:
        with suppress(psutil.NoSuchProcess):
            return abs(psutil.Process(leader).create_time() - created) < _TOLERANCE
        # Without a leader to compare, identify the process by the environment we gave it.
        return process.environ().get("VAR_DIR") == str(self._var_dir)
