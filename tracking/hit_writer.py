"""Hits on their way into the database, behind the answers that they got.

A request leaves its hit to a thread of its process and never waits for the database. While that
is away hits are kept, up to a bound; what is over it is counted and lost, and so are, with a
process that is killed, those of its last tenth of a second.
"""

import logging
import os
import threading
import time
from multiprocessing.util import Finalize
from queue import Empty, Full, Queue

from django.db import InterfaceError, OperationalError, connection

from core import metrics
from core.db import bulk
from tracking.models import Hit

logger = logging.getLogger(__name__)

WAITING = 10_000
BATCH = 1000
GATHER = 0.1  # seconds in which further hits join the ones to be written
LAST_WORDS = 2.0  # seconds that the end of the process waits for what was noted
PAUSE = 1.0  # seconds before a database that didn't answer is asked again

_DB_DOWN = (InterfaceError, OperationalError)

_hits: "Queue[Hit]" = Queue(WAITING)
_writer: threading.Thread | None = None
_writer_pid = 0
_lock = threading.Lock()


def note(hit: Hit) -> None:
    """Have the hit written soon."""
    _ensure_writer()
    try:
        _hits.put_nowait(hit)
    except Full:
        metrics.HITS_LOST.inc()


def flush(seconds: float) -> bool:
    """Wait until all that was noted is written; whether it was, within that time."""
    hits = _hits
    with hits.all_tasks_done:
        return hits.all_tasks_done.wait_for(lambda: not hits.unfinished_tasks, seconds)


def _ensure_writer() -> None:
    global _writer, _writer_pid, _hits
    if _is_writing():
        return
    with _lock:
        if not _is_writing():
            _hits = Queue(WAITING)
            _writer = threading.Thread(target=_write, args=(_hits,), name="hits", daemon=True)
            _writer_pid = os.getpid()
            _writer.start()
            # Unlike atexit it is heard by a process that was forked, as those of web servers are.
            Finalize(None, flush, args=(LAST_WORDS,), exitpriority=0)


def _is_writing() -> bool:
    # A fork doesn't inherit threads, and one that a bug ended must not stay the last.
    return _writer is not None and _writer.is_alive() and _writer_pid == os.getpid()


def _write(hits: "Queue[Hit]") -> None:
    while True:
        batch = [hits.get()]
        time.sleep(GATHER)
        _fill(batch, hits)
        while not _is_written(batch):
            time.sleep(PAUSE)
        for _ in batch:
            hits.task_done()


def _fill(batch: list[Hit], hits: "Queue[Hit]") -> None:
    while len(batch) < BATCH:
        try:
            batch.append(hits.get_nowait())
        except Empty:
            return


def _is_written(batch: list[Hit]) -> bool:
    """False when the database is away. Hits that it doesn't take are no reason to stop."""
    try:
        bulk.insert(batch)
    except _DB_DOWN as error:
        logger.warning("The database takes no hits", extra={"reason": str(error)})
        return False
    except Exception:
        logger.exception("%d hits could not be written", len(batch))
        metrics.HITS_LOST.inc(len(batch))
    finally:
        connection.close()
    return True
