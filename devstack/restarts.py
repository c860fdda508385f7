"""Restarts dead processes, with exponential backoff for those that keep dying."""

import time

from devstack.services import ManagedProcess

_FIRST_DELAY = 0.2
_MAX_DELAY = 10.0
_STABLE_SECONDS = 30.0  # a process that ran this long restarts with the first delay again


class Restarter:
    """Watches one started process."""

    def __init__(self, process: ManagedProcess) -> None:
        self.process = process
        self._delay = _FIRST_DELAY
        self._started = time.monotonic()
        self._due: float | None = None

    def is_down(self) -> bool:
        """Detects a death and schedules the restart; True until the process is restarted."""
        if self._due is None and self.process.pid is None:
            now = time.monotonic()
            if now - self._started > _STABLE_SECONDS:
                self._delay = _FIRST_DELAY
            self.back_off()
        return self._due is not None

    def is_due(self) -> bool:
        return self._due is not None and time.monotonic() >= self._due

    def restart(self) -> None:
        self.process.start()
        self._started = time.monotonic()
        self._due = None

    def back_off(self) -> None:
        self._due = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, _MAX_DELAY)
