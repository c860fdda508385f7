"""Processes of an earlier run whose supervisor was killed before it could stop them."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from devstack.embedded import end
from devstack.files import read_json, write_json

# Start times are counted from a boot time that clock adjustments move a little.
_TOLERANCE = 2.0


class Records:
    """What was started under a var dir, by session and start time, in `children.json`.

    Every command leads a session, and a session's number is given to no other process while
    one of the session lives: that finds the children of a leader that is gone.
    """

    def __init__(self, var_dir: Path) -> None:
        self._var_dir = var_dir
        self._path = var_dir / "children.json"
        self._known: dict[str, dict[str, float]] = {}

    def add(self, name: str, pid: int) -> None:
        with suppress(psutil.NoSuchProcess):
            self._known[name] = {"pid": pid, "created": psutil.Process(pid).create_time()}
            write_json(self._path, self._known)

    def clear(self) -> None:
        self._known.clear()
        self._path.unlink(missing_ok=True)

    def end_leftovers(self) -> list[str]:
        """Kill what earlier records name and is still alive; the names."""
        found = []
        for name, record in read_json(self._path).items():
            members = list(self._session(int(record["pid"]), created=float(record["created"])))
            for process in members:
                end(process, signals=[(signal.SIGKILL, 5.0)])
            if members:
                found.append(name)
        self.clear()
        return found

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
        # Without its leader to compare, a process tells by the environment we gave it.
        return process.environ().get("VAR_DIR") == str(self._var_dir)
