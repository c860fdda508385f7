"""Cleanup of disabled and deleted endpoints in the background.

Disabling or deleting an endpoint returns immediately; this follows in batches that hold their
locks for milliseconds. It locks deliveries only, and skips rows that others have locked, so it
never deadlocks with the dispatcher, which locks endpoints first.
"""

import time

from django.db import connection

from core.queue import wake
from core.queue.retention import SLICE_SECONDS
from core.queue.worker_loop import stopping
from webhooks import queues

BATCH = 5000

# A request in flight is left to finish, and its result is recorded like any other.
_FAIL_PENDING = """
    UPDATE webhook_deliveries
       SET status = 'failed', last_error = 'endpoint_disabled',
           next_attempt_at = NULL, crashes = 0
     WHERE id = ANY(ARRAY(
        SELECT pending.id FROM webhook_endpoints AS endpoint CROSS JOIN LATERAL (
            SELECT id FROM webhook_deliveries
             WHERE endpoint_id = endpoint.id AND next_attempt_at IS NOT NULL
               AND (status = 'pending' OR next_attempt_at <= now())
             ORDER BY next_attempt_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED) AS pending
         WHERE endpoint.status = 'disabled' AND endpoint.deleted_at IS NULL
         LIMIT %(batch)s))
"""
# Attempts are removed by ON DELETE CASCADE. BETWEEN instead of "=" leaves only one index that
# delivers this order: with "=" the planner may pick another index and read all of it.
_DELETE_DELIVERIES = """
    DELETE FROM webhook_deliveries
     WHERE ctid = ANY(ARRAY(
        SELECT delivery.place FROM webhook_endpoints AS endpoint CROSS JOIN LATERAL (
            SELECT ctid AS place FROM webhook_deliveries
             WHERE endpoint_id BETWEEN endpoint.id AND endpoint.id
             ORDER BY endpoint_id, event_id LIMIT %(batch)s FOR UPDATE SKIP LOCKED) AS delivery
         WHERE endpoint.status = 'disabled' AND endpoint.deleted_at IS NOT NULL
         LIMIT %(batch)s))
"""
# A fan-out may have read the endpoint just before its deletion and still insert deliveries, so
# the row stays for a minute. Its few bucket, hour and recovery rows are removed by the cascade.
_DELETE_ENDPOINTS = """
    DELETE FROM webhook_endpoints
     WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_endpoints AS endpoint
         WHERE status = 'disabled' AND deleted_at < now() - interval '1 minute'
           AND id IS DISTINCT FROM (
                SELECT endpoint_id FROM webhook_deliveries
                 WHERE endpoint_id >= endpoint.id ORDER BY endpoint_id LIMIT 1)
         LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


def clean_up() -> int:
    """Run batches for one slice, and hint for another if there is more; return the row count."""
    task = queues.CLEAN_UP.task
    wake.acknowledge(task)
    until = time.monotonic() + SLICE_SECONDS
    total = 0
    while not stopping.is_set() and (count := clean_up_some()):
        total += count
        if time.monotonic() >= until:
            wake.hint(task)
            break
    return total


def clean_up_some() -> int:
    """Run one batch and return its number of rows; 0 when nothing is left to do now.

    Fails pending deliveries of disabled endpoints, then deletes the deliveries of deleted
    endpoints, then those endpoints.
    """
    return _execute(_FAIL_PENDING) or _execute(_DELETE_DELIVERIES) or _execute(_DELETE_ENDPOINTS)


def _execute(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"batch": BATCH})
        return int(cursor.rowcount)
