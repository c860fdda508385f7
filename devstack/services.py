"""The processes of a stack: commands, each in its own session, and the embedded servers."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from core.processes import die_with_parent
from devstack.embedded import Postgres, Redis
from devstack.output import Output

ROOT = Path(__file__).resolve().parent.parent


class ManagedProcess(Protocol):
    """A process that the stack starts, stops, and restarts when it dies."""

    name: str

    @property
    def pid(self) -> int | None: ...
    def start(self) -> object: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


class Command:
    """A command in its own session, with its output sent to `output`.

    `stop()` sends SIGTERM to the session leader, waits `stop_seconds`, then kills the session.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        output: Output,
        stop_seconds: float = 5.0,
    ) -> None:
        self.name = name
        self._argv = list(argv)
        self._env = env
        self._output = output
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self.exit_code is None else None

    @property
    def exit_code(self) -> int | None:
        """The session leader's exit code once it exited; then the rest of the session is killed."""
        if self._process is None:
            return None
        if self._process.returncode is None and _has_exited(self._process.pid):
            # Before reaping the leader: until then the kernel does not reuse its id.
            _kill_group(self._process.pid)
            self._process.wait()
        return self._process.returncode

    def start(self) -> None:
        pipe = self._output.pipe(self.name)
        try:
            self._process = subprocess.Popen(  # noqa: S603
                self._argv,
                cwd=ROOT,
                env=dict(self._env),
                stdin=subprocess.DEVNULL,
                stdout=pipe,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,  # VAR_DIR holds mail and keys
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        finally:
            os.close(pipe)

    def stop(self) -> None:
        if self._process is None or self.exit_code is not None:
            return
        os.kill(self._process.pid, signal.SIGTERM)
        deadline = time.monotonic() + self._stop_seconds
        while self.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        if self._process is not None and self.exit_code is None:
            _kill_group(self._process.pid)
            while self.exit_code is None:
                time.sleep(0.01)


class EmbeddedServer:
    """An embedded server as a managed process; it writes to `pipe` if we started it."""

    def __init__(self, name: str, server: Postgres | Redis, *, pipe: int) -> None:
        self.name = name
        self._server = server
        self._pipe: int | None = pipe

    @property
    def pid(self) -> int | None:
        return self._server.pid

    def start(self) -> str:
        return self._server.start()

    def stop(self) -> None:
        self._server.stop()
        self._close()

    def kill(self) -> None:
        self._server.kill()
        self._close()

    def _close(self) -> None:
        # Clear it before closing: a second signal may run kill() while stop() is still running.
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)


def _has_exited(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
