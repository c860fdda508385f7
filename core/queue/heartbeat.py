"""Worker processes say that they are there, and /readyz says who was not seen for a while.

A thread of each process writes, since the process itself may be in a pass that lasts for hours.
It opens a connection each time: a pool's connections must not be inherited by a fork.
"""

import logging
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

import psycopg
from django.conf import settings
from django.db import connection
from django.utils import timezone

from core.models import Heartbeat
from core.queue.queues import DATABASE, queues_of
from core.queue.worker_loop import stopping

logger = logging.getLogger(__name__)

EVERY = timedelta(seconds=5)
MISSING_AFTER = EVERY * 6

_PREFIX = "worker:"
_SAVE = """
    INSERT INTO heartbeats (name, at) SELECT unnest(%s::text[]), clock_timestamp()
    ON CONFLICT (name) DO UPDATE SET at = excluded.at
"""


def kinds() -> list[str]:
    """The Celery queues that need a worker."""
    return sorted({DATABASE, *(queue.celery_queue for queue in queues_of(settings.APPS))})


def last_seen() -> dict[str, datetime | None]:
    """When a worker of each kind was last there."""
    names = {_PREFIX + kind: kind for kind in kinds()}
    found = dict(Heartbeat.objects.filter(name__in=names).values_list("name", "at"))
    return {kind: found.get(name) for name, kind in names.items()}


def is_missing(at: datetime | None) -> bool:
    return at is None or timezone.now() - at > MISSING_AFTER


def start(celery_queues: Iterable[str]) -> None:
    """Begin to write that this process works for these queues, until it stops."""
    names = [_PREFIX + name for name in celery_queues]
    threading.Thread(target=_run, args=(names,), name="heartbeat", daemon=True).start()


def _run(names: list[str]) -> None:
    while not stopping.is_set():
        try:
            save(names)
        except psycopg.Error as error:
            logger.warning("Could not save the heartbeat", extra={"reason": str(error)})
        stopping.wait(EVERY.total_seconds())


def save(names: list[str]) -> None:
    with psycopg.connect(**connection.get_connection_params()) as own:
        own.execute(_SAVE, [names])
