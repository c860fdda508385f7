"""Writes hits to the database from a background thread, after their requests were answered.

A request queues its hit in memory and never waits for the database. While the database is
unavailable, hits stay queued up to a limit; hits above the limit are counted and dropped. A killed
process also loses the hits of its last tenth of a second.
"""

import logging
import time
from queue import Queue

from django.db import InterfaceError, OperationalError, connection

from core import metrics
from core.db import bulk
from core.queue.background import Background, take_up_to
from tracking.models import Hit

logger = logging.getLogger(__name__)

QUEUE_SIZE = 10_000
BATCH = 1000
BATCH_WINDOW = 0.1  # seconds to collect more hits into a batch
SHUTDOWN_TIMEOUT = 2.0  # seconds that a stopping process waits for queued hits
RETRY_DELAY = 1.0  # seconds between attempts while the database is unavailable

_DB_DOWN = (InterfaceError, OperationalError)


def enqueue(hit: Hit) -> None:
    """Queue the hit for writing; drops and counts it when the queue is full."""
    if not _writer.put(hit):
        metrics.HITS_LOST.inc()


def flush(seconds: float) -> bool:
    """Wait until all queued hits are written; False on timeout."""
    return _writer.flush(seconds)


def _write_hits(hits: "Queue[Hit]") -> None:
    while True:
        batch = [hits.get()]
        time.sleep(BATCH_WINDOW)
        batch += take_up_to(hits, BATCH - 1)
        while not _write_batch(batch):
            time.sleep(RETRY_DELAY)
        for _ in batch:
            hits.task_done()


_writer: Background[Hit] = Background(
    "hits", _write_hits, maxsize=QUEUE_SIZE, flush_seconds=SHUTDOWN_TIMEOUT
)


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
