"""Start, watch and stop the processes of the product as one thing."""

import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from devstack import commands, run_info
from devstack.embedded import EmbeddedError, Postgres, Redis, create_database
from devstack.environment import choose_port, local_settings, write_env_file
from devstack.errors import StackError
from devstack.files import read_json, write_json
from devstack.http import answers
from devstack.orphans import Records
from devstack.output import Output
from devstack.restarts import Keeper
from devstack.services import Command, Embedded, Member

SERVICES = ("postgres", "redis", "twin", "web", "worker", "beat")
_STOP_ORDER = ("web", "worker", "beat", "twin", "redis", "postgres")
_READY_SECONDS = 120.0


class _StopRequestedError(Exception):
    """Somebody asked to stop before the stack was up."""


class Stack:
    """The processes of one var dir.

    `env_overrides` win over the environment, and that wins over what is made here. With
    DATABASE_URL, REDIS_URL or AWS_ENDPOINT_URL set, the server it names is used and none is
    started. `services` leaves others out; lines of all go to `output` (default: stdout).

    One thread starts every process and lives until all are stopped, because Linux tells a
    process that its parent is gone when the parent's *thread* is (prctl(2)).
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
        self._given = {**os.environ, **(env_overrides or {})}
        self.env: dict[str, str] = dict(self._given)
        self.settings: dict[str, str] = {}
        self._services = services
        self._output = Output(output or sys.stdout.buffer)
        self._records = Records(self.var_dir)
        self._keepers: dict[str, Keeper] = {}
        self._step: Command | None = None
        self._lock: int | None = None
        # Set by signal handlers, so no Event: a second signal that comes while the first holds
        # its lock would wait for itself.
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
        """By service name; None for one that is not ours or down at this moment."""
        return {
            name: self._keepers[name].member.pid if name in self._keepers else None
            for name in SERVICES
        }

    @property
    def has_twin(self) -> bool:
        """Whether the AWS of this run is a twin that we started."""
        return "twin" in self._keepers

    @property
    def facts(self) -> dict[str, Any]:
        """The content of `run.json`."""
        return run_info.facts(self, bootstrap=read_json(self._bootstrap_file))

    @property
    def is_up(self) -> bool:
        return self._up.is_set() and self._thread.is_alive() and not self._is_stopping

    def start(self) -> None:
        """Return when the stack answers; raises StackError when it cannot, with all stopped.

        Returns early after `request_stop`.
        """
        self._thread.start()
        self._up.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def request_stop(self) -> None:
        """Begin to stop and return at once; for signal handlers."""
        self._is_stopping = True

    def stop(self) -> None:
        """Stop all in order, and return when they are gone."""
        self.request_stop()
        if self._thread.ident is not None:  # it was started
            self._thread.join()

    def wait(self) -> None:
        """Return when the stack is stopped, by whomever; raises what broke it, if anything."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def kill(self) -> None:
        """End every process at once."""
        self._is_stopping = True
        for member in [*self._started("step"), *(k.member for k in self._keepers.values())]:
            member.kill()

    # --- The life of the stack, all of it in one thread ----------------------

    def _run(self) -> None:
        try:
            self._bring_up()
            self._up.set()
            while not self._is_stopping:
                self._revive_the_dead()
                time.sleep(0.1)
        except _StopRequestedError:
            pass
        except (EmbeddedError, OSError) as error:
            self._error = StackError(str(error))
        except Exception as error:
            self._error = error  # start() and wait() raise it to the caller
        finally:
            self._take_down()
            self._up.set()

    def _bring_up(self) -> None:
        self.var_dir.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.var_dir / "run.lock")
        for name in self._records.end_leftovers():
            self._say(f"ended {name} of an earlier run that was killed")
        (self.var_dir / "run.json").unlink(missing_ok=True)
        self._make_environment()
        self._start_servers()
        if "twin" in self._services and "AWS_ENDPOINT_URL" not in self._given:
            self._start_command("twin")
            twin = self.env["AWS_ENDPOINT_URL"]
            self._until(lambda: answers(f"{twin}/_twin/health"), what="the twin")
        self._manage("migrate", "--no-input")
        self._manage("bootstrap_local")
        for name in ("web", "worker", "beat"):
            if name in self._services:
                self._start_command(name)
        if "web" in self._services:
            self._until(lambda: answers(f"{self._local_url}/readyz"), what="GET /readyz")
            self._manage("bootstrap_local", "--subscribe")
        self._write_facts()

    def _take_down(self) -> None:
        for name in ("step", *_STOP_ORDER):
            for member in self._started(name):
                try:
                    member.stop()
                except Exception as error:  # the others must still be stopped
                    self._say(f"{name} did not stop cleanly: {error}")
        if self._lock is not None:  # without it, these files are another run's
            (self.var_dir / "run.json").unlink(missing_ok=True)
            self._records.clear()
            os.close(self._lock)

    # --- Steps ---------------------------------------------------------------

    def _make_environment(self) -> None:
        for name, variable, default in (("web", "PORT", 8000), ("twin", "TWIN_PORT", None)):
            self.ports[name] = choose_port(
                self.var_dir, variable, wanted=self._given.get(variable), default=default
            )
        self._set(
            local_settings(
                self.var_dir,
                base_url=self._local_url,
                twin_url=f"http://127.0.0.1:{self.ports['twin']}",
            )
        )
        self.env["PYTHONUNBUFFERED"] = "1"
        self.env["BOOTSTRAP_FILE"] = str(self._bootstrap_file)

    def _start_servers(self) -> None:
        if "postgres" in self._services and "DATABASE_URL" not in self._given:
            url = self._start_embedded("postgres")
            self._set({"DATABASE_URL": create_database(url, "opensend")})
        if "redis" in self._services and "REDIS_URL" not in self._given:
            self._set({"REDIS_URL": self._start_embedded("redis")})
        names = [*self.settings, "DATABASE_URL", "REDIS_URL"]
        known = {name: self.env[name] for name in names if name in self.env}
        write_env_file(self.var_dir / "env", known)

    def _start_embedded(self, name: str) -> str:
        pipe = self._output.pipe(name)
        directory = self.var_dir / name
        server: Postgres | Redis
        if name == "postgres":
            server = Postgres(directory, output=pipe, die_with_parent=True)
        else:
            port = self._given.get("REDIS_PORT")
            server = Redis(
                directory, port=int(port) if port else None, output=pipe, die_with_parent=True
            )
        self._keep(Embedded(name, server, pipe=pipe))
        return server.url

    def _start_command(self, name: str) -> None:
        argv = commands.command(name, var_dir=self.var_dir, ports=self.ports, env=self.env)
        self._keep(self._command(name, argv, env={**self.env, "SERVICE": name}))

    def _manage(self, *arguments: str) -> None:
        """Run `manage.py` to its end; StackError when it fails."""
        step = self._command(arguments[0], [*commands.MANAGE, *arguments], env=self.env)
        step.start()
        self._step = step
        if step.pid is not None:
            self._records.add("step", step.pid)
        self._until(lambda: step.exit_code is not None, what=f"manage.py {arguments[0]}")
        if step.exit_code:
            raise StackError(f"manage.py {' '.join(arguments)} failed; see its lines above")

    def _revive_the_dead(self) -> None:
        for name, keeper in self._keepers.items():
            if not keeper.is_down() or not keeper.is_due():
                continue
            self._say(f"{name} died; starting it again")
            try:
                keeper.revive()
            except (EmbeddedError, OSError) as error:
                self._say(f"{name} did not start: {error}")
                keeper.postpone()
                continue
            self._record(keeper.member)
            self._write_facts()

    # --- Pieces --------------------------------------------------------------

    def _set(self, made: Mapping[str, str]) -> None:
        self.env = {**self.env, **made, **self._given}
        self.settings.update({name: self.env[name] for name in made})

    def _keep(self, member: Member) -> None:
        self._check_stop()
        self._keepers[member.name] = Keeper(member)
        member.start()
        self._record(member)

    def _record(self, member: Member) -> None:
        # The embedded servers know a leftover of theirs by its directory.
        if isinstance(member, Command) and member.pid is not None:
            self._records.add(member.name, member.pid)

    def _command(self, name: str, argv: list[str], *, env: Mapping[str, str]) -> Command:
        patience = commands.PATIENCE.get(name, 5.0)
        return Command(name, argv, env=env, output=self._output, patience=patience)

    def _until(self, condition: Callable[[], bool], *, what: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not condition():
            self._check_stop()
            for name, keeper in self._keepers.items():
                if keeper.member.pid is None:
                    raise StackError(f"{name} ended while starting; see its lines above")
            if time.monotonic() > deadline:
                raise StackError(f"{what} was not ready after {_READY_SECONDS:.0f} s")
            time.sleep(0.05)

    def _check_stop(self) -> None:
        if self._is_stopping:
            raise _StopRequestedError

    def _started(self, name: str) -> list[Member]:
        if name == "step":
            return [self._step] if self._step else []
        return [self._keepers[name].member] if name in self._keepers else []

    def _write_facts(self) -> None:
        write_json(self.var_dir / "run.json", self.facts)

    def _say(self, text: str) -> None:
        self._output.line("run", text.encode())

    @property
    def _local_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['web']}"

    @property
    def _bootstrap_file(self) -> Path:
        return self.var_dir / "bootstrap.json"


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StackError(
            f"this checkout is running already ({path.parent}); stop that run first, "
            "or set VAR_DIR and PORT for a second one"
        ) from None
    return descriptor
