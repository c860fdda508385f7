"""Starts, supervises and stops all processes of the product."""

import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from devstack import commands, run_info
from devstack.embedded import EmbeddedError, Postgres, Redis, create_database
from devstack.environment import choose_port, local_settings, setting_names, write_env_file
from devstack.errors import StackError
from devstack.files import read_json, write_json
from devstack.http import answers, read_answer
from devstack.orphans import ProcessRecords
from devstack.output import Output
from devstack.restarts import Restarter
from devstack.services import Command, EmbeddedServer, ManagedProcess

SERVICES = ("postgres", "redis", "twin", "web", "worker", "beat")
_STOP_ORDER = ("web", "worker", "beat", "twin", "redis", "postgres")
_READY_SECONDS = 120.0


class _StopRequestedError(Exception):
    """A stop was requested before the stack was up."""


class Stack:
    """The processes that share one var dir.

    `env_overrides` take precedence over the environment, and that over generated defaults. If
    DATABASE_URL, REDIS_URL or AWS_ENDPOINT_URL is set, that server is used instead of starting
    one. `services` selects what to start; all output goes to `output` (default: stdout).

    A single thread starts every process and lives until all are stopped, because Linux sends the
    parent-death signal when the parent *thread* ends (prctl(2)).
    """

    def __init__(
        self,
        var_dir: Path,
        env_overrides: Mapping[str, str] | None = None,
        *,
        services: Sequence[str] = SERVICES,
        output: BinaryIO | None = None,
    ) -> None:
        self.var_dir = var_dir.resolve()
        self.ports: dict[str, int] = {}
        self._given_env = {**os.environ, **(env_overrides or {})}
        self.env: dict[str, str] = dict(self._given_env)
        self.settings: dict[str, str] = {}
        self._services = services
        self._output = Output(output or sys.stdout.buffer)
        self._records = ProcessRecords(self.var_dir)
        self._restarters: dict[str, Restarter] = {}
        self._step: Command | None = None
        self._lock: int | None = None
        # Set by signal handlers, so not an Event: a second signal could interrupt the first while
        # it holds the Event's lock, and deadlock.
        self._is_stopping = False
        self._up = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="stack", daemon=True)

    # --- For callers ---------------------------------------------------------

    @property
    def base_url(self) -> str:
        return self.env["BASE_URL"]

    @property
    def pids(self) -> dict[str, int | None]:
        """By service name; None for a service that is external or currently down."""
        return {
            name: self._restarters[name].process.pid if name in self._restarters else None
            for name in SERVICES
        }

    @property
    def has_twin(self) -> bool:
        """Whether AWS is simulated by a twin that we started."""
        return "twin" in self._restarters

    @property
    def run_info(self) -> dict[str, Any]:
        """The content of `run.json`."""
        return run_info.describe(self, bootstrap=read_json(self._bootstrap_file))

    @property
    def is_up(self) -> bool:
        return self._up.is_set() and self._thread.is_alive() and not self._is_stopping

    def start(self) -> None:
        """Block until the stack is ready. On failure, stop everything and raise StackError.

        Returns early after `request_stop`.
        """
        self._thread.start()
        self._up.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def request_stop(self) -> None:
        """Start stopping and return immediately; safe in signal handlers."""
        self._is_stopping = True

    def stop(self) -> None:
        """Stop all processes in order; return when they have exited."""
        self.request_stop()
        if self._thread.ident is not None:  # the thread was started
            self._thread.join()

    def wait(self) -> None:
        """Block until the stack has stopped; raises the error that stopped it, if any."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def kill(self) -> None:
        """Kill all processes immediately."""
        self._is_stopping = True
        supervised = [restarter.process for restarter in self._restarters.values()]
        for process in [*self._started("step"), *supervised]:
            process.kill()

    # --- Lifecycle, all in one thread ----------------------------------------

    def _run(self) -> None:
        try:
            self._start_all()
            self._up.set()
            while not self._is_stopping:
                self._restart_dead()
                time.sleep(0.1)
        except _StopRequestedError:
            pass
        except (EmbeddedError, OSError) as error:
            self._error = StackError(str(error))
        except Exception as error:
            self._error = error  # start() and wait() raise it to the caller
        finally:
            self._stop_all()
            self._up.set()

    def _start_all(self) -> None:
        self.var_dir.mkdir(parents=True, exist_ok=True)
        self._lock = _acquire_lock(self.var_dir / "run.lock")
        for name in self._records.kill_orphans():
            self._print(f"killed {name}, left over from an earlier run")
        (self.var_dir / "run.json").unlink(missing_ok=True)
        self._prepare_environment()
        self._start_servers()
        if "twin" in self._services and "AWS_ENDPOINT_URL" not in self._given_env:
            self._start_command("twin")
            twin = self.env["AWS_ENDPOINT_URL"]
            self._wait_until(lambda: answers(f"{twin}/_twin/health"), what="the twin")
        self._manage("bootstrap_local")
        began = datetime.now(UTC)
        for name in ("web", "worker", "beat"):
            if name in self._services:
                self._start_command(name)
        if "web" in self._services:
            self._wait_until(lambda: answers(f"{self._local_url}/readyz"), what="GET /readyz")
            self._manage("bootstrap_local", "--subscribe")
        if {"web", "worker"} <= set(self._services):
            self._wait_until(lambda: self._have_workers(since=began), what="the workers")
        self._write_run_info()

    def _stop_all(self) -> None:
        for name in ("step", *_STOP_ORDER):
            for process in self._started(name):
                try:
                    process.stop()
                except Exception as error:  # the others must still be stopped
                    self._print(f"{name} did not stop cleanly: {error}")
        if self._lock is not None:  # without the lock, these files belong to another run
            (self.var_dir / "run.json").unlink(missing_ok=True)
            self._records.clear()
            os.close(self._lock)

    # --- Start-up steps ---------------------------------------------------------------

    def _prepare_environment(self) -> None:
        for name, variable, default in (("web", "PORT", 8000), ("twin", "TWIN_PORT", None)):
            self.ports[name] = choose_port(
                self.var_dir, variable, requested=self._given_env.get(variable), default=default
            )
        self._apply(
            local_settings(
                self.var_dir,
                base_url=self._local_url,
                twin_url=f"http://127.0.0.1:{self.ports['twin']}",
            )
        )
        self.env["PYTHONUNBUFFERED"] = "1"
        self.env["BOOTSTRAP_FILE"] = str(self._bootstrap_file)

    def _start_servers(self) -> None:
        if "postgres" in self._services and "DATABASE_URL" not in self._given_env:
            url = self._start_embedded("postgres")
            self._apply({"DATABASE_URL": create_database(url, "opensend")})
        if "redis" in self._services and "REDIS_URL" not in self._given_env:
            self._apply({"REDIS_URL": self._start_embedded("redis")})
        # With what the caller's environment sets: a command that reads the file is to see the same.
        names = {*self.settings, *setting_names()}
        values = {name: self.env[name] for name in names if name in self.env}
        write_env_file(self.var_dir / "env", values)

    def _start_embedded(self, name: str) -> str:
        pipe = self._output.pipe(name)
        directory = self.var_dir / name
        server: Postgres | Redis
        if name == "postgres":
            server = Postgres(directory, output=pipe, die_with_parent=True)
        else:
            port = self._given_env.get("REDIS_PORT")
            server = Redis(
                directory, port=int(port) if port else None, output=pipe, die_with_parent=True
            )
        self._supervise(EmbeddedServer(name, server, pipe=pipe))
        return server.url

    def _start_command(self, name: str) -> None:
        argv = commands.command(name, var_dir=self.var_dir, ports=self.ports, env=self.env)
        self._supervise(self._command(name, argv, env={**self.env, "SERVICE": name}))

    def _manage(self, *arguments: str) -> None:
        """Run a `manage.py` command to completion; raises StackError if it fails."""
        step = self._command(arguments[0], [*commands.MANAGE, *arguments], env=self.env)
        step.start()
        self._step = step
        if step.pid is not None:
            self._records.add("step", step.pid)
        self._wait_until(lambda: step.exit_code is not None, what=f"manage.py {arguments[0]}")
        if step.exit_code:
            raise StackError(f"manage.py {' '.join(arguments)} failed; see its output above")

    def _restart_dead(self) -> None:
        for name, restarter in self._restarters.items():
            if not restarter.is_down() or not restarter.is_due():
                continue
            self._print(f"{name} died; restarting it")
            try:
                restarter.restart()
            except (EmbeddedError, OSError) as error:
                self._print(f"{name} did not start: {error}")
                restarter.back_off()
                continue
            self._record_pid(restarter.process)
            self._write_run_info()

    # --- Helpers --------------------------------------------------------------

    def _apply(self, defaults: Mapping[str, str]) -> None:
        self.env = {**self.env, **defaults, **self._given_env}
        self.settings.update({name: self.env[name] for name in defaults})

    def _supervise(self, process: ManagedProcess) -> None:
        self._raise_if_stopping()
        self._restarters[process.name] = Restarter(process)
        process.start()
        self._record_pid(process)

    def _record_pid(self, process: ManagedProcess) -> None:
        # Embedded servers find their orphans by the data directory.
        if isinstance(process, Command) and process.pid is not None:
            self._records.add(process.name, process.pid)

    def _command(self, name: str, argv: list[str], *, env: Mapping[str, str]) -> Command:
        stop_seconds = commands.STOP_SECONDS.get(name, 5.0)
        return Command(name, argv, env=env, output=self._output, stop_seconds=stop_seconds)

    def _wait_until(self, condition: Callable[[], bool], *, what: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not condition():
            self._raise_if_stopping()
            for name, restarter in self._restarters.items():
                if restarter.process.pid is None:
                    raise StackError(f"{name} exited during start-up; see its output above")
            if time.monotonic() > deadline:
                raise StackError(f"{what} was not ready after {_READY_SECONDS:.0f} s")
            time.sleep(0.05)

    def _have_workers(self, *, since: datetime) -> bool:
        """Whether a worker of each kind was seen since then: mail would leave now."""
        workers = read_answer(f"{self._local_url}/readyz").get("workers") or {"": {}}
        seen = [worker.get("last_seen_at") for worker in workers.values()]
        return all(at and datetime.fromisoformat(at) >= since for at in seen)

    def _raise_if_stopping(self) -> None:
        if self._is_stopping:
            raise _StopRequestedError

    def _started(self, name: str) -> list[ManagedProcess]:
        if name == "step":
            return [self._step] if self._step else []
        return [self._restarters[name].process] if name in self._restarters else []

    def _write_run_info(self) -> None:
        write_json(self.var_dir / "run.json", self.run_info)

    def _print(self, text: str) -> None:
        self._output.line("run", text.encode())

    @property
    def _local_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['web']}"

    @property
    def _bootstrap_file(self) -> Path:
        return self.var_dir / "bootstrap.json"


def _acquire_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StackError(
            f"OpenSend is already running in {path.parent}; stop that run first, "
            "or set VAR_DIR and PORT to start a second one"
        ) from None
    return descriptor
