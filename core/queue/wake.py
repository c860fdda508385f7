"""Telling a worker that something is due, after commit, at no cost to the request.

A hint goes to a thread of this process, which tells Celery; the request never waits for Redis.
Hints for one task within a moment become one, and none is sent while one is still queued. What
is lost here is found by the next sweep.
"""

import logging
import os
import queue
import threading
import time

from celery import current_app
from django.db import transaction
from kombu import Connection

from core import redis

logger = logging.getLogger(__name__)

GATHER = 0.02  # seconds in which further hints join the ones being sent
IMPATIENT = {"socket_connect_timeout": 1, "socket_timeout": 1}
QUEUED_FOR = 2000  # milliseconds for which one queued hint stands for others

_hints: "queue.SimpleQueue[str]" = queue.SimpleQueue()
_teller: threading.Thread | None = None
_teller_pid = 0
_lock = threading.Lock()


def wake(task: str) -> None:
    """Hint that the task with this name has work; call it where the work was written."""
    transaction.on_commit(lambda: hint(task), robust=True)


def hint(task: str) -> None:
    _ensure_teller()
    _hints.put(task)


def heard(task: str) -> None:
    """The worker is looking: from now on a new hint is worth a message."""
    redis.attempt("wake", lambda client: client.delete(_key(task)))


def _ensure_teller() -> None:
    global _teller, _teller_pid, _hints
    if _is_telling():
        return
    with _lock:
        if not _is_telling():
            _hints = queue.SimpleQueue()
            _teller = threading.Thread(target=_tell, args=(_hints,), name="wake", daemon=True)
            _teller_pid = os.getpid()
            _teller.start()


def _is_telling() -> bool:
    # A fork doesn't inherit threads, and one that a bug ended must not stay the last.
    return _teller is not None and _teller.is_alive() and _teller_pid == os.getpid()


def _tell(hints: "queue.SimpleQueue[str]") -> None:
    broker = _connect()
    while True:
        tasks = {hints.get()}
        _gather(hints, tasks)
        sent = [_send(task, broker) for task in tasks]
        if not all(sent):
            broker.release()
            broker = _connect()
        time.sleep(GATHER)


def _connect() -> Connection:
    """Of its own, because workers' connections have to wait for Redis as long as it takes."""
    return current_app.connection_for_write(transport_options=IMPATIENT)


def _gather(hints: "queue.SimpleQueue[str]", tasks: set[str]) -> None:
    while True:
        try:
            tasks.add(hints.get_nowait())
        except queue.Empty:
            return


def _send(task: str, broker: Connection) -> bool:
    """Whether the connection is still good."""
    claimed = redis.attempt(
        "wake", lambda client: bool(client.set(_key(task), 1, nx=True, px=QUEUED_FOR))
    )
    if not claimed:
        return True  # one is queued already, or Redis is away
    try:
        current_app.send_task(task, connection=broker, retry=False, expires=30)
    except Exception:
        logger.warning("Could not hint at work", extra={"task": task}, exc_info=True)
        return False
    return True


def _key(task: str) -> str:
    return f"opensend:wake:{task}"
