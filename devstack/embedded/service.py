"""Base class of the embedded servers: one server per directory, shared by processes."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import psutil

from core.processes import die_with_parent
from devstack.embedded.locks import ServiceLock
from devstack.embedded.processes import from_pid_file, servers_in, terminate

_START_SECONDS = 60.0  # crash recovery replays the write-ahead log first


class EmbeddedError(Exception):
    """An embedded server could not start; the message includes the end of its log."""


class Service(ABC):
    """A server with all its files in one directory.

    `output` is a file descriptor for the server's output (default: the file `log`). With
    `die_with_parent` it exits when the thread that started it ends.

    Several processes may start() the same directory: they share the server, and the last one to
    call stop() stops it. A server whose users all died is replaced.
    """

    programs: ClassVar[tuple[str, ...]]  # the names that its program can have
    stop_signals: ClassVar[list[tuple[signal.Signals, float]]]

    def __init__(
        self, directory: Path, *, output: int | None = None, die_with_parent: bool = False
    ) -> None:
        self.directory = directory.resolve()
        self._output = output
        self._die_with_parent = die_with_parent
        self._lock = ServiceLock(self.directory)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    def pid(self) -> int | None:
        """The running server's pid, even if another process started it; None if not running."""
        if self._process is not None and self._process.poll() is None:
            return self._process.pid
        server = self._server()
        return server.pid if server else None

    def start(self) -> str:
        """Start the server, or share the running one; returns its URL.

        Raises EmbeddedError if it does not start.
        """
        with self._lock.exclusive():
            is_shared = self._lock.is_acquired or self._lock.used_by_others()
            if self.pid is None or not is_shared:
                self._kill_orphans()
                self._prepare()
                self._launch()
            self._lock.acquire()
        return self.url

    def stop(self) -> None:
        """Stop the server gracefully, unless another process is using it."""
        with self._lock.exclusive():
            if not self._lock.used_by_others():
                self._terminate_server()
            self._lock.release()

    def kill(self) -> None:
        """Kill the server immediately, even if it is shared."""
        self._kill_orphans()
        if self._process is not None:
            self._process.wait()
        self._lock.release()

    # --- Implemented by each server ------------------------------------------

    @property
    @abstractmethod
    def _home(self) -> Path:
        """The working directory of the server's processes."""

    @property
    @abstractmethod
    def _pid_file(self) -> Path: ...

    @abstractmethod
    def _prepare(self) -> None:
        """Prepare the directory; no server is running."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _is_ready(self) -> bool: ...

    def _owner(self) -> tuple[int, int] | None:
        """User and group to run as; None for the current ones."""
        return None

    # --- Processes -----------------------------------------------------------

    def _server(self) -> psutil.Process | None:
        return from_pid_file(self._pid_file, directory=self._home, programs=self.programs)

    def _launch(self) -> None:
        for attempt in (1, 2, 3):
            self._spawn()
            if self._becomes_ready():
                return
            if attempt < 3:
                self._prepare()
        raise EmbeddedError(
            f"{self.programs[0]} did not start in {self.directory}:\n{self._log_end()}"
        )

    def _spawn(self) -> None:
        log = os.open(self.directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        owner = self._owner()
        try:
            self._process = subprocess.Popen(  # noqa: S603
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log if self._output is None else self._output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=server_environment(),
                start_new_session=True,
                preexec_fn=(
                    die_with_parent(self.stop_signals[0][0]) if self._die_with_parent else None
                ),
                user=owner[0] if owner else None,
                group=owner[1] if owner else None,
                extra_groups=[] if owner else None,
            )
        finally:
            os.close(log)

    def _becomes_ready(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            if self._is_ready():
                return True
            time.sleep(0.02)
        self._process.kill()
        self._process.wait()
        raise EmbeddedError(
            f"{self.programs[0]} in {self.directory} was not ready after {_START_SECONDS:.0f} s"
        )

    def _terminate_server(self) -> None:
        pid = self.pid
        if pid is not None:
            terminate(psutil.Process(pid), signals=self.stop_signals)
        if self._process is not None:
            self._process.wait()

    def _kill_orphans(self) -> None:
        """Kill a server without users, and child processes that outlived their server."""
        server = self._server()
        if server is not None:
            terminate(server, signals=self.stop_signals[1:])
        for process in servers_in(self._home, programs=self.programs):
            terminate(process, signals=[(signal.SIGKILL, 5.0)])

    def _log_end(self) -> str:
        if self._output is not None:
            return "see its output above"
        return (self.directory / "log").read_text(errors="replace")[-2000:]


def server_environment() -> dict[str, str]:
    """A minimal environment, so that the user's PGPORT or PGDATA does not reach the server."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
