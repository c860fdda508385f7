"""The product under test: its own stack, and a worker that can be started and stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import psutil
import psycopg
import redis
from celery import Celery

from core.processes import die_with_parent
from devstack import Stack, commands
from devstack.files import read_json
from devstack.http import answers, request

# Environment variables that would point the benchmark at external data or services.
_EXTERNAL = (
    *("DATABASE_URL", "REDIS_URL", "AWS_ENDPOINT_URL", "BASE_URL", "PORT", "TWIN_PORT"),
    *("REDIS_PORT", "BOOTSTRAP_FILE", "EMAIL_PROVIDER"),
)
_OVERRIDES = {"PORT": "0", "API_RATE_LIMIT": "0", "LOG_LEVEL": "WARNING"}
# The local stack is set up with LOCAL_MODE; the measured processes run as in production.
_PRODUCTION = {
    "LOCAL_MODE": "false",
    # Only for links in mail; requests go to the stack's own URL.
    "BASE_URL": "https://mail.example.com",
    "TRACKING_KEYS": "only-for-the-benchmark",
}

_QUEUES = {
    "ingest.tasks.process_due_events": "database",
    "events.tasks.dispatch_due_events": "database",
    "emails.tasks.send_due_emails": "sending",
    "webhooks.tasks.deliver_due_webhooks": "webhooks",
}
_PURGE_TASKS = ("events.tasks.purge_old_events", "webhooks.tasks.purge_old_attempts")
_SWEEP_SECONDS = 5.0
_READY_SECONDS = 60.0
_TABLES = (
    *("provider_events", "emails", "email_recipients", "email_events", "events"),
    *("webhook_endpoints", "webhook_deliveries", "webhook_attempts", "suppressions"),
)


class TimedOut(Exception):
    """The product did not finish within the time limit of the part."""


class System:
    """PostgreSQL, Redis, the twin and the web processes; the worker runs only inside `worker()`."""

    def __init__(self, var_dir: Path, log: BinaryIO) -> None:
        self._log = log
        self._stack = Stack(var_dir, _OVERRIDES, services=("postgres", "redis", "twin"), output=log)
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self.var_dir = var_dir

    def start(self) -> None:
        self._stack.start()
        self._celery = Celery(broker=self.env["REDIS_URL"])
        self.database = psycopg.connect(self.env["DATABASE_URL"], autocommit=True)
        self._cache_certificate()
        ports = self._stack.ports
        self._start("web", commands.command("web", var_dir=self.var_dir, ports=ports, env=self.env))
        self._until(lambda: answers(f"{self.base_url}/readyz"), "the web processes")

    def stop(self) -> None:
        for name in list(self._started):
            self._stop(name)
        if hasattr(self, "database"):
            self.database.close()
        self._stack.stop()

    @property
    def env(self) -> dict[str, str]:
        return self._stack.env

    @property
    def base_url(self) -> str:
        return self._stack.base_url

    @property
    def facts(self) -> dict[str, Any]:
        return read_json(self.var_dir / "run.json")

    @property
    def roots(self) -> dict[str, int]:
        """The root process of each service, by name."""
        pids = {name: pid for name, pid in self._stack.pids.items() if pid is not None}
        return pids | {name: process.pid for name, process in self._started.items()}

    @contextmanager
    def worker(self, **settings: str) -> Iterator[None]:
        """Run the worker processes in this block; they are idle and connected at its start."""
        self._start("worker", [sys.executable, "-m", "opensend.worker"], **settings)
        try:
            self._until(self._all_queues_respond, "the worker")
            yield
        finally:
            self._stop("worker")

    def worker_pid(self, queue: str) -> int:
        """The process of the running worker that consumes a queue."""
        for process in psutil.Process(self._started["worker"].pid).children(recursive=True):
            arguments = process.cmdline()
            if "-Q" in arguments and arguments[arguments.index("-Q") + 1] == queue:
                return process.pid
        raise LookupError(f"no worker consumes the queue {queue}")

    def run(self, module: str, *arguments: str) -> bytes:
        """Run a module with the settings of the product and return its output."""
        argv = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(
            argv, env=self.env | _PRODUCTION, stdout=subprocess.PIPE, stderr=self._log, check=True
        )
        return done.stdout

    def empty(self) -> None:
        """Truncate mail, events and endpoints; workspaces, keys and domains stay."""
        self.database.execute(f"TRUNCATE {', '.join(_TABLES)} CASCADE")
        self.database.execute("VACUUM")

    def vacuum(self) -> None:
        """Vacuum, as autovacuum would have done by the time a real table is that large."""
        self.database.execute("VACUUM ANALYZE")
        self.database.execute("CHECKPOINT")

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        return request(
            method, f"{self.base_url}{path}", body=body, key=self.facts["api_key"], seconds=30
        )

    def twin(self, **faults: Any) -> None:
        """Set the faults of the stand-in for AWS; without arguments, clear them."""
        url = f"{self.env['AWS_ENDPOINT_URL']}/_twin/faults"
        status, answer = request("DELETE", url)
        if faults:
            status, answer = request("POST", url, body=faults)
        if status >= 300:
            raise RuntimeError(f"the twin answered {status} {answer!r}")

    def hint(self) -> None:
        """Hint every worker to look for due rows, as beat does in production."""
        for task, queue in _QUEUES.items():
            self._celery.send_task(task, queue=queue, ignore_result=True)

    def purge(self) -> None:
        """Purge old rows of the webhook tables, as beat does in production."""
        for task in _PURGE_TASKS:
            self._celery.send_task(task, queue="database", ignore_result=True)

    def until_none(self, *conditions: str, seconds: float) -> list[float]:
        """Wait until each query returns no rows; the moments (monotonic) at which each did."""
        began = swept = time.monotonic()
        moments: list[float] = []
        for condition in conditions:
            while self.database.execute(f"SELECT EXISTS ({condition})").fetchone() != (False,):
                now = time.monotonic()
                if now - began > seconds:
                    raise TimedOut(f"after {seconds:.0f} s there were still rows: {condition}")
                if now - swept > _SWEEP_SECONDS:
                    self.hint()
                    swept = now
                time.sleep(0.05)
            moments.append(time.monotonic())
        return moments

    def count(self, query: str) -> int:
        (number,) = self.database.execute(query).fetchone() or (0,)
        return int(number)

    def _start(self, name: str, argv: list[str], **settings: str) -> None:
        self._started[name] = subprocess.Popen(
            argv,
            env=self.env | _PRODUCTION | {"SERVICE": name} | settings,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )

    def _stop(self, name: str) -> None:
        process = self._started.pop(name)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _cache_certificate(self) -> None:
        """Cache the twin's certificate: with production settings it cannot be fetched."""
        url = self.facts["sns_signing"]["cert_url"]
        pem = (self.var_dir / "twin" / "sns-cert.pem").read_bytes()
        with redis.Redis.from_url(self.env["REDIS_URL"]) as client:
            client.set(f"opensend:sns-certificate:{url}", pem)

    def _all_queues_respond(self) -> bool:
        answered = self._celery.control.ping(timeout=0.5) or []
        queues = {queue for name in answered for queue in [next(iter(name)).partition("-")[0]]}
        return queues == set(_QUEUES.values())

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TimedOut(f"{what} did not respond within {_READY_SECONDS:.0f} s")
            time.sleep(0.05)


def expect(system: System, query: str, number: int) -> None:
    """Fail if work is missing: the figure would be worthless."""
    count = system.count(query)
    if count != number:
        raise RuntimeError(f"{query}: {count}, expected {number}")


def remove_external_settings() -> None:
    """Must run first: the benchmark truncates tables of the database it connects to."""
    for name in _EXTERNAL:
        os.environ.pop(name, None)
