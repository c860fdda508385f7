"""Which due deliveries are late, and which wait for their endpoint."""

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection

from core.queue.backlog import COUNT_LIMIT, Backlog, QueueState
from webhooks.health import PROBE_AFTER

# Seconds after which an endpoint that could be served, and is not, is our fault.
_PATIENCE = 5

_HEADS = """
    WITH RECURSIVE heads AS (
        (SELECT endpoint_id, next_attempt_at FROM webhook_deliveries
          WHERE next_attempt_at IS NOT NULL ORDER BY endpoint_id, next_attempt_at LIMIT 1)
        UNION ALL
        SELECT following.* FROM heads CROSS JOIN LATERAL (
            SELECT endpoint_id, next_attempt_at FROM webhook_deliveries
             WHERE next_attempt_at IS NOT NULL AND endpoint_id > heads.endpoint_id
             ORDER BY endpoint_id, next_attempt_at LIMIT 1) AS following)
"""
# Half-open endpoints wait for their probe, unless it is overdue as well. Endpoints with a rate
# limit from which tokens were just taken are served as fast as they want, and so are those with
# at least half of the requests in flight that they may have.
_ENDPOINTS = f"""
    {_HEADS},
    due AS (
        SELECT heads.endpoint_id, heads.next_attempt_at, endpoint.*, bucket.filled_at,
               (SELECT count(*) FROM webhook_deliveries AS sent
                 WHERE sent.endpoint_id = heads.endpoint_id AND sent.status = 'attempting'
                   AND sent.next_attempt_at > now()) AS in_flight
          FROM heads JOIN webhook_endpoints AS endpoint ON endpoint.id = heads.endpoint_id
          LEFT JOIN webhook_rate_limits AS bucket ON bucket.endpoint_id = heads.endpoint_id
         WHERE heads.next_attempt_at <= now())
    SELECT endpoint_id, next_attempt_at, CASE
           WHEN status <> 'enabled' THEN 'disabled'
           WHEN failures_in_a_row >= {PROBE_AFTER}
                AND (in_flight > 0 OR probe_at > now() - interval '{_PATIENCE} s')
                THEN 'endpoint'
           WHEN filled_at > now() - interval '{_PATIENCE} s' THEN 'rate'
           WHEN in_flight > 0 AND in_flight * 2 >= %(share)s THEN 'endpoint' END
      FROM due
"""  # noqa: S608 (only constants of this module)
_COUNT = """
    SELECT count(*) FROM (
        SELECT FROM unnest(%(endpoints)s::uuid[]) AS endpoint (id) CROSS JOIN LATERAL (
            SELECT FROM webhook_deliveries
             WHERE endpoint_id = endpoint.id AND next_attempt_at <= now() LIMIT %(limit)s) AS due
         LIMIT %(limit)s) AS counted
"""
_RETRIES = f"""
    {_HEADS}
    SELECT count(*) FROM (
        SELECT FROM heads CROSS JOIN LATERAL (
            SELECT FROM webhook_deliveries
             WHERE endpoint_id = heads.endpoint_id AND next_attempt_at > now()
               AND status = 'pending' LIMIT %(limit)s) AS later
         LIMIT %(limit)s) AS counted
"""  # noqa: S608


def measure() -> QueueState:
    """Late: due for an endpoint that could take it now.

    Waiting: `endpoint` is half-open or busy with earlier requests, `rate` is its own limit,
    `retry` is the time until the next attempt, `disabled` is about to fail.
    """
    groups: defaultdict[str, list[UUID]] = defaultdict(list)
    oldest: datetime | None = None
    for endpoint, since, reason in _due_endpoints():
        groups[reason or ""].append(endpoint)
        if not reason:
            oldest = min(oldest or since, since)
    late = _count(_COUNT, endpoints=groups.pop("", []))
    waiting = {reason: _count(_COUNT, endpoints=group) for reason, group in groups.items()}
    waiting["retry"] = _count(_RETRIES)
    return QueueState(Backlog(late, oldest), {name: n for name, n in waiting.items() if n})


def waiting_endpoints() -> list[UUID]:
    """Endpoints whose due deliveries no worker could hurry."""
    return [endpoint for endpoint, _, reason in _due_endpoints() if reason]


def _due_endpoints() -> list[tuple[UUID, datetime, str | None]]:
    with connection.cursor() as cursor:
        cursor.execute(_ENDPOINTS, {"share": settings.WEBHOOK_PER_ENDPOINT})
        rows: list[tuple[UUID, datetime, str | None]] = cursor.fetchall()
    return rows


def _count(statement: str, **values: list[UUID]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"limit": COUNT_LIMIT, **values})
        (count,) = cursor.fetchone() or (0,)
    return int(count)
