"""Defers due mail while the provider's daily quota is used up; it never fails for that."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from emails.facts.constructors import delayed
from emails.facts.record import record_facts
from emails.sending.send_results import PUBLISH_DELAY_EVERY

REASON = "daily_quota"
BATCH = 500

_LANE = "provider = %(provider)s AND region = %(region)s"
_OPEN = "next_attempt_at IS NOT NULL AND status IN ('queued', 'scheduled')"
# Skips from workspace to workspace through the index `emails_due`: behind the few due rows there
# may be a million that are already deferred.
_DEFER = f"""
    WITH RECURSIVE heads AS (
        (SELECT is_batch, workspace_id FROM emails WHERE {_LANE} AND {_OPEN}
          ORDER BY is_batch, workspace_id LIMIT 1)
        UNION ALL
        SELECT following.* FROM heads CROSS JOIN LATERAL (
            SELECT is_batch, workspace_id FROM emails
             WHERE {_LANE} AND {_OPEN}
               AND (is_batch, workspace_id) > (heads.is_batch, heads.workspace_id)
             ORDER BY is_batch, workspace_id LIMIT 1) AS following),
    due AS (
        SELECT head_due.* FROM heads CROSS JOIN LATERAL (
            SELECT id, coalesce(delay_published_at < %(publish_before)s, true) AS is_published
              FROM emails
             WHERE {_LANE} AND {_OPEN} AND is_batch = heads.is_batch
               AND workspace_id = heads.workspace_id AND next_attempt_at <= now()
             ORDER BY next_attempt_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS head_due
         LIMIT %(limit)s)
    UPDATE emails SET next_attempt_at = %(until)s, last_error = %(reason)s,
           delay_published_at = CASE WHEN is_published THEN %(now)s ELSE delay_published_at END
      FROM due WHERE emails.id = due.id
    RETURNING emails.id, is_published
"""  # noqa: S608 (only constants of this module)


def defer(provider: str, region: str, *, until: datetime) -> None:
    """Defer all due mail of a paused region until the next refresh, one batch per transaction."""
    while _defer_batch(provider, region, until) == BATCH:
        pass


def _defer_batch(provider: str, region: str, until: datetime) -> int:
    now = timezone.now()
    with transaction.atomic():
        rows = _run(
            provider=provider,
            region=region,
            until=until,
            reason=REASON,
            now=now,
            publish_before=now - PUBLISH_DELAY_EVERY,
            limit=BATCH,
        )
        key = f"{REASON} {now.isoformat()}"
        record_facts(
            [
                delayed(pk, reason=REASON, key=key, at=now)
                for pk, is_published in rows
                if is_published
            ]
        )
    return len(rows)


def _run(**values: Any) -> Sequence[tuple[UUID, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(_DEFER, values)
        rows: list[tuple[UUID, bool]] = cursor.fetchall()
    return rows
