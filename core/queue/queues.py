"""What works the rows off: each app lists its `Queue`s and `Periodic` tasks in a `queues.py`.

Celery's routes and beat's schedule are made of them (opensend.settings), so these modules import
nothing that needs Django to be set up.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from django.utils.module_loading import import_string

DATABASE = "database"  # the Celery queue of tasks that need nothing but the database


class Batch(NamedTuple):
    """How many rows a worker claimed, how many of them it settled, and how many went wrong."""

    claimed: int
    processed: int = 0
    failed: int = 0

    def __bool__(self) -> bool:
        """Whether there was anything to do."""
        return self.claimed > 0

    def __add__(self, other: object) -> "Batch":
        assert isinstance(other, Batch)
        return Batch(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True)
class Queue:
    """Rows of one model that are jobs of one kind.

    `name` is what commands call it. `process` is the dotted path of the function that claims and
    handles one batch: `() -> Batch`. With `is_loop` it is `(seconds) -> Batch` and goes on claiming
    for so long. `celery_queue` names the workers: what waits for the outside has its own.
    """

    name: str
    task: str
    model: str  # its label: `emails.Email`
    process: str
    celery_queue: str = DATABASE
    is_loop: bool = False
    # Which rows of the model, where several queues share it: keyword arguments of filter().
    rows: Mapping[str, Any] = field(default_factory=dict)

    def process_batch(self, seconds: float) -> Batch:
        process: Callable[..., Batch] = import_string(self.process)
        return process(seconds) if self.is_loop else process()


@dataclass(frozen=True, slots=True)
class Periodic:
    """A task that beat starts every so often, such as a purge; None is as often as sweeps."""

    task: str
    every: timedelta | None = timedelta(minutes=1)


def queues_of(apps: Iterable[str]) -> list[Queue]:
    """The QUEUES of these apps, in order."""
    return [queue for module in _modules(apps) for queue in getattr(module, "QUEUES", ())]


def beat_schedule(apps: Sequence[str], *, sweep_every: timedelta) -> dict[str, dict[str, Any]]:
    """Celery's CELERY_BEAT_SCHEDULE: a sweep of each queue finds what no hint announced."""
    sweeps = [(queue.task, sweep_every, 2) for queue in queues_of(apps)]
    periodic = [
        (each.task, each.every or sweep_every, 1 if each.every else 2)
        for module in _modules(apps)
        for each in getattr(module, "PERIODIC", ())
    ]
    return {
        task: {
            "task": task,
            "schedule": every,
            "options": {"expires": every.total_seconds() * intervals},
        }
        for task, every, intervals in [*sweeps, *periodic]
    }


def task_routes(apps: Iterable[str]) -> dict[str, dict[str, str]]:
    """Celery's CELERY_TASK_ROUTES."""
    return {
        queue.task: {"queue": queue.celery_queue}
        for queue in queues_of(apps)
        if queue.celery_queue != DATABASE
    }


def _modules(apps: Iterable[str]) -> list[Any]:
    names = [f"{app}.queues" for app in apps]
    return [import_module(name) for name in names if find_spec(name)]
