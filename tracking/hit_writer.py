"""Writes hits to the database from a background thread, after their requests were answered.

A request queues its hit in memory and never waits for the database. While the database is
unavailable, hits stay queued up to a limit; hits above the limit are counted and dropped. A killed
process also loses the hits of its last tenth of a second.
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

QUEUE_SIZE = 10_000
BATCH = 1000
BATCH_WINDOW = 0.1  # seconds to collect more hits into a batch
SHUTDOWN_TIMEOUT = 2.0  # seconds that a stopping process waits for queued hits
RETRY_DELAY = 1.0  # seconds between attempts while the database is unavailable

_DB_DOWN = (InterfaceError, OperationalError)

_hits: "Queue[Hit]" = Queue(QUEUE_SIZE)
_writer: threading.Thread | None = None
_writer_pid = 0
_lock = threading.Lock()


def enqueue(hit: Hit) -> None:
    """Queue the hit for writing; drops and counts it when the queue is full."""
    _ensure_writer()
    try:
        _hits.put_nowait(hit)
    except Full:
        metrics.HITS_LOST.inc()


def flush(seconds: float) -> bool:
    """Wait until all queued hits are written; False on timeout."""
    hits = _hits
    with hits.all_tasks_done:
        return hits.all_tasks_done.wait_for(lambda: not hits.unfinished_tasks, seconds)


def _ensure_writer() -> None:
    global _writer, _writer_pid, _hits
    if _has_writer():
        return
    with _lock:
        if not _has_writer():
            _hits = Queue(QUEUE_SIZE)
            _writer = threading.Thread(target=_run_writer, args=(_hits,), name="hits", daemon=True)
            _writer_pid = os.getpid()
            _writer.start()
            # Unlike atexit, this also runs in forked processes such as web server workers.
            Finalize(None, flush, args=(SHUTDOWN_TIMEOUT,), exitpriority=0)


def _has_writer() -> bool:
    # A fork doesn't inherit threads, and a thread that died of a bug must be replaced.
    return _writer is not None and _writer.is_alive() and _writer_pid == os.getpid()


def _run_writer(hits: "Queue[Hit]") -> None:
    while True:
        batch = [hits.get()]
        time.sleep(BATCH_WINDOW)
        _fill_batch(batch, hits)
        while not _write_batch(batch):
            time.sleep(RETRY_DELAY)
        for _ in batch:
            hits.task_done()


def _fill_batch(batch: list[Hit], hits: "Queue[Hit]") -> None:
    while len(batch) < BATCH:
        try:
            batch.append(hits.get_nowait())
        except Empty:
            return


def _write_batch(batch: list[Hit]) -> bool:
    """False when the database is unavailable; drops a batch that fails for any other reason."""
    try:
        bulk.insert(batch)
    except _DB_DOWN as error:
        logger.warning("Database unavailable, retrying to write hits", extra={"reason": str(error)})
        return False
    except Exception:
        logger.exception("Could not write %d hits", len(batch))
        metrics.HITS_LOST.inc(len(batch))
    finally:
        connection.close()
    return True
