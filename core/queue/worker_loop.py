"""Working a queue off in bounded passes: other tasks get their turn, and workers can stop."""

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from celery.signals import worker_shutting_down
from django.apps import apps

from core.queue import wake
from core.queue.backlog import backlog
from core.queue.queues import Batch, Queue

PASS_SECONDS = 5.0

stopping = threading.Event()


@worker_shutting_down.connect
def _stop(**_: object) -> None:
    stopping.set()


class Pass(NamedTuple):
    """What one pass did. `remaining` rows are due after it (core.queue.backlog)."""

    claimed: int
    processed: int
    failed: int
    remaining: int


def run_pass(queue: Queue, *, seconds: float = PASS_SECONDS) -> Pass:
    """One bounded pass: beat's tasks, job endpoints and `manage.py run_queue` all do this.

    Overlapping passes share the work by their leases.
    """
    done, _ = _work(queue, seconds)
    return Pass(*done, remaining=backlog(apps.get_model(queue.model), queue.rows).due)


def drain(queue: Queue, *, seconds: float | None = None) -> int:
    """The body of a queue's task: one pass, and a hint for the next while there is more; how many
    rows were claimed.

    A loop goes on until nothing is due: at the end of a bounded pass it would wait for its slowest
    call while due rows wait.
    """
    if seconds is None:
        seconds = math.inf if queue.is_loop else PASS_SECONDS
    wake.acknowledge(queue.task)
    done, has_more = _work(queue, seconds)
    if has_more:
        wake.hint(queue.task)
    return done.claimed


def repeat(task: str, batch: Callable[[], int], *, seconds: float) -> int:
    """The body of a periodic task: call `batch` until it returns 0 or the time is over, and hint
    at the task again in the latter case; the sum of what was returned."""
    wake.acknowledge(task)
    until = time.monotonic() + seconds
    total = 0
    while not stopping.is_set():
        done = batch()
        total += done
        if not done:
            break
        if time.monotonic() >= until:
            wake.hint(task)
            break
    return total


def _work(queue: Queue, seconds: float) -> tuple[Batch, bool]:
    """What was done until nothing was due or the time was over, and whether it was the latter."""
    until = time.monotonic() + seconds
    total = Batch(0)
    while not stopping.is_set():
        batch = queue.process_batch(until - time.monotonic())
        total += batch
        if time.monotonic() >= until:
            return total, bool(batch)
        if not batch or queue.is_loop:  # a loop returns when nothing is due
            break
    return total, False
