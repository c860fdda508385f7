"""Which due emails are late, and which wait for a rate, a quota, a time or an operator."""

from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from core.queue.backlog import COUNT_LIMIT, Backlog, QueueState, due_rows
from emails.models import Email
from emails.providers import get_provider
from emails.sending.daily_quota import REASON as DAILY_QUOTA
from emails.sending.token_bucket import BURST

# The first due email of each lane; skips from workspace to workspace through `emails_due`.
_LANES = """
    WITH RECURSIVE heads AS (
        (SELECT provider, region, is_batch, workspace_id, next_attempt_at FROM emails
          WHERE next_attempt_at IS NOT NULL AND status IN ('queued', 'scheduled')
          ORDER BY provider, region, is_batch, workspace_id, next_attempt_at LIMIT 1)
        UNION ALL
        SELECT following.* FROM heads CROSS JOIN LATERAL (
            SELECT provider, region, is_batch, workspace_id, next_attempt_at FROM emails
             WHERE next_attempt_at IS NOT NULL AND status IN ('queued', 'scheduled')
               AND (provider, region, is_batch, workspace_id)
                 > (heads.provider, heads.region, heads.is_batch, heads.workspace_id)
             ORDER BY provider, region, is_batch, workspace_id, next_attempt_at
             LIMIT 1) AS following)
    SELECT provider, region, min(next_attempt_at), (
           SELECT count(*) FROM (
               SELECT FROM heads AS each CROSS JOIN LATERAL (
                   SELECT FROM emails
                    WHERE next_attempt_at <= now() AND status IN ('queued', 'scheduled')
                      AND provider = each.provider AND region = each.region
                      AND is_batch = each.is_batch AND workspace_id = each.workspace_id
                    LIMIT %(limit)s) AS due
                WHERE each.provider = heads.provider AND each.region = heads.region
                LIMIT %(limit)s) AS counted)
      FROM heads WHERE next_attempt_at <= now() GROUP BY provider, region
"""
# Workers that keep up with the rate leave hardly any tokens. A bucket that is half full is not
# what the mail waits for.
_BUCKETS = f"""
    SELECT name, CASE
           WHEN paused_until > now() OR sent_24h + sent_since >= daily_quota THEN 'quota'
           WHEN tokens + extract(epoch FROM now() - filled_at) * max_rate * factor
                < greatest(1, {BURST / 2} * max_rate * factor) THEN 'rate' END
      FROM send_rates
"""  # noqa: S608 (only constants)
_DEFERRED = """
    SELECT count(*) FILTER (WHERE last_error = %(quota)s),
           count(*) FILTER (WHERE last_error <> %(quota)s)
      FROM (SELECT last_error, next_attempt_at FROM emails WHERE status = 'queued'
             ORDER BY id DESC LIMIT %(limit)s) AS newest
     WHERE next_attempt_at > now()
"""


class _Lane(NamedTuple):
    provider: str
    region: str
    oldest: datetime
    due: int


def measure() -> QueueState:
    """Late: due, and its provider would take it now; or unresolved longer than it should be.

    Waiting: `rate` and `quota` are the provider's limits, `schedule` is scheduled mail, `retry` is
    the time until the next attempt, `hold` waits for whoever holds it, `evidence` for an event that
    says whether it was sent.
    """
    late = due_rows(Email, Q(status__in=["sending", "unknown", "held"]))
    waiting = {
        "schedule": _later(Email.Status.SCHEDULED),
        "hold": _later(Email.Status.HELD),
        "evidence": _later(Email.Status.UNKNOWN),
        **_deferred(),
    }
    for lane, reason in _lanes():
        if reason:
            waiting[reason] = min(waiting.get(reason, 0) + lane.due, COUNT_LIMIT)
        else:
            late += Backlog(lane.due, lane.oldest)
    return QueueState(late, {name: count for name, count in waiting.items() if count})


def waiting_lanes() -> Q:
    """Emails that wait for their provider's rate or quota."""
    lanes = [Q(provider=lane.provider, region=lane.region) for lane, reason in _lanes() if reason]
    waiting = Q(pk=None)
    for lane in lanes:
        waiting |= lane
    return Q(status__in=[Email.Status.QUEUED, Email.Status.SCHEDULED]) & waiting


def _lanes() -> list[tuple[_Lane, str | None]]:
    with connection.cursor() as cursor:
        cursor.execute(_LANES, {"limit": COUNT_LIMIT})
        lanes = [_Lane(*row) for row in cursor.fetchall()]
        cursor.execute(_BUCKETS)
        reasons = dict(cursor.fetchall())
    return [(lane, reasons.get(get_provider(lane.provider).bucket(lane.region))) for lane in lanes]


def _deferred() -> dict[str, int]:
    """Of queued mail that is not due yet, what waits for the quota, and what for a retry."""
    with connection.cursor() as cursor:
        cursor.execute(_DEFERRED, {"limit": COUNT_LIMIT, "quota": DAILY_QUOTA})
        quota, retry = cursor.fetchone() or (0, 0)
    return {"quota": quota, "retry": retry}


def _later(status: Email.Status) -> int:
    """Through the index `emails_by_status`."""
    later = Email.objects.filter(status=status, next_attempt_at__gt=Now()).order_by("-pk")
    return later[:COUNT_LIMIT].count()
