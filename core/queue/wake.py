"""Hints to workers that something is due, sent after the commit and at no cost to the request.

A hint goes to a thread of this process, which sends a Celery message; the request never waits for
Redis. Hints for one task within a moment become one, and none is sent while one is still queued.
The next sweep finds what a lost hint announced.
"""

import logging
import time
from queue import Queue

from celery import current_app
from django.db import transaction
from kombu import Connection

from core import redis
from core.queue.background import Background, take_up_to

logger = logging.getLogger(__name__)

GATHER = 0.02  # seconds in which further hints join the ones being sent
IMPATIENT = {"socket_connect_timeout": 1, "socket_timeout": 1}
QUEUED_FOR = 2000  # milliseconds for which one queued hint stands for others
PASS_ON_EVERY = 1.0  # seconds between hints of one pass that finds more than it can take
_MANY = 10_000

_passed_on: dict[str, float] = {}


def wake(task: str) -> None:
    """Hint that the task with this name has work; call it where the work is written."""
    transaction.on_commit(lambda: hint(task), robust=True)


def hint(task: str) -> None:
    _sender.put(task)


def pass_on(task: str, *, claimed: int, limit: int) -> None:
    """Call it after a claim: a full batch means that there is more, so another process may help.

    A hint wakes one process only. The one that it wakes passes it on in turn, until no process is
    idle or no batch is full.
    """
    now = time.monotonic()
    if claimed >= limit > 0 and now >= _passed_on.get(task, -PASS_ON_EVERY) + PASS_ON_EVERY:
        _passed_on[task] = now
        hint(task)


def acknowledge(task: str) -> None:
    """The worker has begun to look for work: from now on a new hint is worth a message."""
    _passed_on.pop(task, None)
    redis.attempt("wake", lambda client: client.delete(_key(task)))


def _send_hints(hints: "Queue[str]") -> None:
    broker = _connect()
    while True:
        tasks = {hints.get(), *take_up_to(hints, _MANY)}
        sent = [_send(task, broker) for task in tasks]
        if not all(sent):
            broker.release()
            broker = _connect()
        time.sleep(GATHER)


_sender: Background[str] = Background("wake", _send_hints)


def _connect() -> Connection:
    """A connection of its own: those of workers wait for Redis as long as it takes."""
    return current_app.connection_for_write(transport_options=IMPATIENT)


def _send(task: str, broker: Connection) -> bool:
    """Whether the connection is still good."""
    claimed = redis.attempt(
        "wake", lambda client: bool(client.set(_key(task), 1, nx=True, px=QUEUED_FOR))
    )
    if not claimed:
        return True  # one is queued already, or Redis is unavailable
    try:
        current_app.send_task(task, connection=broker, retry=False, expires=30)
    except Exception:
        logger.warning("Could not send a hint", extra={"task": task}, exc_info=True)
        return False
    return True


def _key(task: str) -> str:
    return f"opensend:wake:{task}"
