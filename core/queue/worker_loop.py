"""The loop of a task that works a queue off: in slices, so that it gives way and can be stopped."""

import threading
import time
from collections.abc import Callable

from celery.signals import worker_shutting_down

from core.queue import wake

stopping = threading.Event()


@worker_shutting_down.connect
def _stop(**_: object) -> None:
    stopping.set()


def drain(task: str, batch: Callable[[], int], *, slice_seconds: float = 5.0) -> int:
    """Call `batch` until it finds nothing or the slice is over, then ask for another slice."""
    wake.heard(task)
    until = time.monotonic() + slice_seconds
    total = 0
    while not stopping.is_set():
        done = batch()
        total += done
        if not done:
            return total
        if time.monotonic() >= until:
            wake.hint(task)
            return total
    return total
