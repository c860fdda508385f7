"""Work that a request leaves to a daemon thread of its process, and never waits for."""

import os
import threading
from collections.abc import Callable
from multiprocessing.util import Finalize
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """A queue in memory and the thread that empties it, started when it is first needed.

    `run` takes items from the queue for ever. A fork doesn't inherit threads, and one that a bug
    ended must not stay the last: the next item starts another. With `flush_seconds` the end of the
    process waits so long for what is queued; `run` then has to call `task_done`.
    """

    def __init__(
        self,
        name: str,
        run: Callable[["Queue[T]"], None],
        *,
        maxsize: int = 0,
        flush_seconds: float = 0,
    ) -> None:
        self._name, self._run = name, run
        self._maxsize, self._flush_seconds = maxsize, flush_seconds
        self._queue: Queue[T] = Queue(maxsize)
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._starting = threading.Lock()

    def put(self, item: T) -> bool:
        """Leave an item to the thread; False when the queue is full."""
        self._ensure_thread()
        try:
            self._queue.put_nowait(item)
        except Full:
            return False
        return True

    def flush(self, seconds: float) -> bool:
        """Wait until everything queued is done; whether it was, within that time."""
        queue = self._queue
        with queue.all_tasks_done:
            return queue.all_tasks_done.wait_for(lambda: not queue.unfinished_tasks, seconds)

    def _ensure_thread(self) -> None:
        if self._is_running():
            return
        with self._starting:
            if self._is_running():
                return
            self._queue = Queue(self._maxsize)
            self._thread = threading.Thread(
                target=self._run, args=(self._queue,), name=self._name, daemon=True
            )
            self._pid = os.getpid()
            self._thread.start()
            if self._flush_seconds:
                # Unlike atexit it runs in forked processes, as those of web servers are.
                Finalize(None, self.flush, args=(self._flush_seconds,), exitpriority=0)

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and self._pid == os.getpid()


def take_up_to(queue: "Queue[T]", most: int) -> list[T]:
    """What is queued right now, without waiting."""
    items: list[T] = []
    while len(items) < most:
        try:
            items.append(queue.get_nowait())
        except Empty:
            break
    return items
