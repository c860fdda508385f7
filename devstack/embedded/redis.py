"""Redis or Valkey on a loopback port with a password."""

import os
import secrets
import signal
from pathlib import Path
from typing import ClassVar

import redis

from devstack.embedded.ports import free_port, port_is_free
from devstack.embedded.programs import REDIS_PROGRAMS, redis_server
from devstack.embedded.service import EmbeddedError, Service

# Redis is disposable here: nothing is written to disk. Evicting a queue entry would lose a hint, so
# writes fail when the memory is full.
_CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {directory}
pidfile {pid_file}
save ""
appendonly no
maxmemory-policy noeviction
tcp-backlog 128
daemonize no
"""


class Redis(Service):
    """A server on 127.0.0.1. Any local user can connect to the port, so it needs a password.

    The port is stored in the directory and changes only if another program is using it. A fixed
    `port` raises EmbeddedError if it is in use.
    """

    programs: ClassVar[tuple[str, ...]] = REDIS_PROGRAMS
    stop_signals: ClassVar[list[tuple[signal.Signals, float]]] = [
        (signal.SIGTERM, 5.0),
        (signal.SIGKILL, 5.0),
    ]

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        output: int | None = None,
        die_with_parent: bool = False,
    ) -> None:
        super().__init__(directory, output=output, die_with_parent=die_with_parent)
        self._requested_port = port

    @property
    def url(self) -> str:
        return f"redis://:{self._password()}@127.0.0.1:{self.port}/0"

    @property
    def port(self) -> int:
        return int((self.directory / "port").read_text())

    @property
    def _home(self) -> Path:
        return self.directory

    @property
    def _pid_file(self) -> Path:
        return self.directory / "redis.pid"

    def _prepare(self) -> None:
        self._pid_file.unlink(missing_ok=True)
        port = self._choose_port()
        (self.directory / "port").write_text(str(port))
        configuration = _CONFIGURATION.format(
            port=port,
            password=self._password(),
            directory=_quote(self.directory),
            pid_file=_quote(self._pid_file),
        )
        _write_private(self.directory / "redis.conf", configuration)

    def _command(self) -> list[str]:
        return [str(redis_server()), str(self.directory / "redis.conf")]

    def _is_ready(self) -> bool:
        # Compare the pid: another server may have taken the port and responded.
        with redis.Redis.from_url(self.url, socket_timeout=1, retry=None) as client:
            try:
                info = client.info("server")
            except redis.RedisError:
                return False
        assert self._process is not None
        assert isinstance(info, dict)
        return bool(info["process_id"] == self._process.pid)

    def _choose_port(self) -> int:
        if self._requested_port is not None:
            if not port_is_free(self._requested_port):
                raise EmbeddedError(
                    f"port {self._requested_port} is in use; choose another for Redis"
                )
            return self._requested_port
        stored = self.directory / "port"
        return free_port(preferred=int(stored.read_text()) if stored.exists() else None)

    def _password(self) -> str:
        path = self.directory / "password"
        if not path.exists():
            _write_private(path, secrets.token_hex(24))
        return path.read_text()


def _quote(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
