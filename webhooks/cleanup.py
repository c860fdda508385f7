"""Ending what is owed to endpoints that get nothing any more, however much that is.

Disabling and deleting an endpoint answer at once; this follows, in batches that hold their
locks for milliseconds. Only deliveries are locked, and only such as nobody else has: the
dispatcher, which locks endpoints first, never waits for this nor this for it.
"""

from django.db import connection

CLEAN_UP = "webhooks.tasks.clean_up_endpoints"
BATCH = 5000

# A request that is in flight comes to its end, and its result is recorded like any other.
_CLOSE = """
    UPDATE webhook_deliveries
       SET status = 'failed', last_error = 'endpoint_disabled',
           next_attempt_at = NULL, crashes = 0
     WHERE id = ANY(ARRAY(
        SELECT owed.id FROM webhook_endpoints AS endpoint CROSS JOIN LATERAL (
            SELECT id FROM webhook_deliveries
             WHERE endpoint_id = endpoint.id AND next_attempt_at IS NOT NULL
               AND (status = 'pending' OR next_attempt_at <= now())
             ORDER BY next_attempt_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED) AS owed
         WHERE endpoint.status = 'disabled' AND endpoint.deleted_at IS NULL
         LIMIT %(batch)s))
"""
# Attempts go by the database's cascade. BETWEEN leaves but one index in whose order the rows
# are: after "=" the planner may take one of another order for as good, and read all of it.
_REMOVE = """
    DELETE FROM webhook_deliveries
     WHERE ctid = ANY(ARRAY(
        SELECT owed.place FROM webhook_endpoints AS endpoint CROSS JOIN LATERAL (
            SELECT ctid AS place FROM webhook_deliveries
             WHERE endpoint_id BETWEEN endpoint.id AND endpoint.id
             ORDER BY endpoint_id, event_id LIMIT %(batch)s FOR UPDATE SKIP LOCKED) AS owed
         WHERE endpoint.status = 'disabled' AND endpoint.deleted_at IS NOT NULL
         LIMIT %(batch)s))
"""
# A fan-out may have read the endpoint just before it was deleted and be about to owe it
# something: the row stays for a minute. Its bucket, hours and recoveries are few, and go by the
# cascade.
_BURY = """
    DELETE FROM webhook_endpoints
     WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_endpoints AS endpoint
         WHERE status = 'disabled' AND deleted_at < now() - interval '1 minute'
           AND id IS DISTINCT FROM (
                SELECT endpoint_id FROM webhook_deliveries
                 WHERE endpoint_id >= endpoint.id ORDER BY endpoint_id LIMIT 1)
         LIMIT %(batch)s FOR UPDATE SKIP LOCKED))
"""


def clean_up_some() -> int:
    """One batch: fail what is owed to disabled endpoints, and remove what deleted ones have and
    then themselves. How many rows; 0 when all is done that can be done now."""
    return _execute(_CLOSE) or _execute(_REMOVE) or _execute(_BURY)


def _execute(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"batch": BATCH})
        return int(cursor.rowcount)
