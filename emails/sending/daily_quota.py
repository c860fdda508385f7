"""Mail that waits because its provider takes no more today: shown as such, and never failed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from emails.facts.record import EmailFact, record_facts
from emails.sending.send_results import TELL_EVERY

REASON = "daily_quota"
BATCH = 500

_LANE = "provider = %(provider)s AND region = %(region)s"
_OPEN = "next_attempt_at IS NOT NULL AND status IN ('queued', 'scheduled')"
# Skips from workspace to workspace through the index `emails_due`, because there may be a
# million waiting already behind the few that are due.
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
        SELECT found.* FROM heads CROSS JOIN LATERAL (
            SELECT id, coalesce(delay_published_at < %(telling)s, true) AS is_to_be_told FROM emails
             WHERE {_LANE} AND {_OPEN} AND is_batch = heads.is_batch
               AND workspace_id = heads.workspace_id AND next_attempt_at <= now()
             ORDER BY next_attempt_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS found
         LIMIT %(limit)s)
    UPDATE emails SET next_attempt_at = %(until)s, last_error = %(reason)s,
           delay_published_at = CASE WHEN is_to_be_told THEN %(now)s ELSE delay_published_at END
      FROM due WHERE emails.id = due.id
    RETURNING emails.id, is_to_be_told
"""  # noqa: S608 (only constants of this module)


def defer(provider: str, region: str, *, until: datetime) -> None:
    """All due mail of a closed region waits for the next look, a batch a transaction."""
    while _defer_some(provider, region, until) == BATCH:
        pass


def _defer_some(provider: str, region: str, until: datetime) -> int:
    now = timezone.now()
    with transaction.atomic():
        rows = _run(
            provider=provider,
            region=region,
            until=until,
            reason=REASON,
            now=now,
            telling=now - TELL_EVERY,
            limit=BATCH,
        )
        record_facts([_delayed(pk, now) for pk, is_to_be_told in rows if is_to_be_told])
    return len(rows)


def _run(**values: Any) -> Sequence[tuple[UUID, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(_DEFER, values)
        rows: list[tuple[UUID, bool]] = cursor.fetchall()
    return rows


def _delayed(pk: UUID, now: datetime) -> EmailFact:
    told = {"reason": REASON}
    return EmailFact(
        email_id=pk,
        type="delayed",
        occurred_at=now,
        key=f"{REASON} {now.isoformat()}",
        payload=told,
        webhook={"delayed": told},
    )
