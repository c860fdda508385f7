"""Endpoint health: consecutive failures, notices, automatic disabling, and hourly counts.

Two states are tracked. *Unavailable* means no response, 429 or 5xx: after five of these in a
row the endpoint is half-open, probed with one request at a time until it responds. *Failing*
means anything but 2xx: after one day without a success `webhook.failing` is published, and
after five days the endpoint is disabled.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.utils import timezone
from psycopg import sql

from core.db import bulk
from core.db.ids import uuid7
from core.queue.wake import wake
from core.times import iso
from events.services import Fact, publish
from webhooks import queues
from webhooks.models import Endpoint, EndpointQuerySet

PROBE_AFTER = 5  # consecutive failures
NOTIFY_AFTER = timedelta(hours=24)
DISABLED_AFTER = timedelta(days=5)

_GONE = 410


@dataclass(frozen=True, slots=True)
class RequestResult:
    """The result of one request, as far as the endpoint's health is concerned.

    `reason` is "" for success, otherwise the attempt's `error`.
    """

    endpoint: Endpoint
    at: datetime
    status: int | None
    reason: str
    duration_ms: int

    @property
    def succeeded(self) -> bool:
        return not self.reason

    @property
    def is_unavailable(self) -> bool:
        if self.succeeded:
            return False
        no_response = not self.reason.startswith("http_")
        return no_response or self.status is None or self.status == 429 or self.status >= 500


def update_health(results: Sequence[RequestResult]) -> None:
    """Update the endpoints' failure columns; endpoints that were and stay healthy are skipped.

    Locks endpoints, in the order of their ids.
    """
    by_endpoint: defaultdict[UUID, list[RequestResult]] = defaultdict(list)
    for result in sorted(results, key=lambda result: result.at):
        by_endpoint[result.endpoint.pk].append(result)
    rows = [_fold(group) for _, group in sorted(by_endpoint.items())]
    known = {result.endpoint.pk: result.endpoint for result in results}
    bulk.update_each(
        Endpoint,
        [row for row in rows if row["first_failed_at"] or _was_failing(known[row["id"]])],
        sets=_SETS,
        carried={
            "failures": "integer",
            "responded": "boolean",
            "succeeded": "boolean",
            "first_failed_at": "timestamptz",
        },
    )


def notify_or_disable(results: Sequence[RequestResult]) -> None:
    """Publish `webhook.failing` after NOTIFY_AFTER; disable after DISABLED_AFTER or on a 410."""
    failed = {result.endpoint.pk: result for result in results if not result.succeeded}
    gone = {key for key, result in failed.items() if result.status == _GONE}
    if not failed:
        return
    for endpoint in _needing_action(failed, gone).order_by("pk").select_for_update():
        if endpoint.pk in gone:
            _disable(endpoint, "The endpoint answered 410 Gone")
        elif _failing_for(endpoint) >= DISABLED_AFTER:
            error = failed[endpoint.pk].reason
            _disable(endpoint, f"No success for 5 days; the last request ended in {error}")
        else:
            _notify_failing(endpoint, failed[endpoint.pk])


def count_hours(results: Iterable[RequestResult]) -> None:
    """Add the results to the hourly counts, in one statement."""
    sums: dict[tuple[UUID, datetime], list[int]] = {}
    for result in results:
        hour = result.at.replace(minute=0, second=0, microsecond=0)
        row = sums.setdefault((result.endpoint.pk, hour), [0, 0, 0, 0])
        row[0 if result.succeeded else 1] += 1
        row[2] += result.duration_ms
        row[3] = max(row[3], result.duration_ms)
    if not sums:
        return
    # Sorted, so that two dispatchers never deadlock.
    rows = [(uuid7(), *key, *row) for key, row in sorted(sums.items())]
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [list(column) for column in zip(*rows, strict=True)])


# The probe interval is a quarter of the time that the endpoint has been failing: 1 s to 1 min.
_SETS = sql.SQL(
    "failures_in_a_row = new.failures"
    " + CASE WHEN new.responded THEN 0 ELSE old.failures_in_a_row END,"
    " failing_since = CASE WHEN new.first_failed_at IS NULL THEN NULL"
    "  WHEN new.succeeded THEN new.first_failed_at"
    "  ELSE coalesce(old.failing_since, new.first_failed_at) END,"
    " failing_notified_at = CASE WHEN NOT new.succeeded THEN old.failing_notified_at END,"
    " probe_at = CASE WHEN new.failures > 0"
    "  AND new.failures"
    "   + CASE WHEN new.responded THEN 0 ELSE old.failures_in_a_row END >= {probe_after}"
    "  THEN now() + least(greatest((now() - CASE WHEN new.succeeded THEN new.first_failed_at"
    "   ELSE coalesce(old.failing_since, new.first_failed_at) END) / 4,"
    "   interval '1 second'), interval '1 minute') END"
).format(probe_after=sql.Literal(PROBE_AFTER))
_COUNT = """
    INSERT INTO webhook_endpoint_hours AS kept
           (id, endpoint_id, hour, succeeded, failed, total_ms, slowest_ms)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::int[], %s::int[],
                         %s::bigint[], %s::int[])
    ON CONFLICT (endpoint_id, hour) DO UPDATE
       SET succeeded = kept.succeeded + excluded.succeeded,
           failed = kept.failed + excluded.failed,
           total_ms = kept.total_ms + excluded.total_ms,
           slowest_ms = greatest(kept.slowest_ms, excluded.slowest_ms)
"""


def _fold(group: Sequence[RequestResult]) -> dict[str, Any]:
    """Fold one endpoint's results, ordered by time, into the row for the update."""
    failures, responded, succeeded, first_failed_at = 0, False, False, None
    for result in group:
        if result.is_unavailable:
            failures += 1
        else:
            failures, responded = 0, True
        if result.succeeded:
            succeeded, first_failed_at = True, None
        else:
            first_failed_at = first_failed_at or result.at
    return {
        "id": group[0].endpoint.pk,
        "failures": failures,
        "responded": responded,
        "succeeded": succeeded,
        "first_failed_at": first_failed_at,
    }


def _was_failing(endpoint: Endpoint) -> bool:
    return endpoint.failing_since is not None or endpoint.failures_in_a_row > 0


def _needing_action(failed: Collection[UUID], gone: Collection[UUID]) -> EndpointQuerySet:
    now = timezone.now()
    to_notify = Q(failing_since__lte=now - NOTIFY_AFTER, failing_notified_at=None)
    to_disable = Q(failing_since__lte=now - DISABLED_AFTER)
    rows = Endpoint.objects.enabled().filter(pk__in=list(failed))
    return rows.filter(Q(pk__in=list(gone)) | to_notify | to_disable)


def _failing_for(endpoint: Endpoint) -> timedelta:
    return timezone.now() - endpoint.failing_since if endpoint.failing_since else timedelta()


def _disable(endpoint: Endpoint, reason: str) -> None:
    endpoint.status = Endpoint.Status.DISABLED
    endpoint.disabled_reason, endpoint.disabled_at = reason, timezone.now()
    endpoint.save(update_fields=["status", "disabled_reason", "disabled_at"])
    wake(queues.CLEAN_UP.task)
    data = _event_data(endpoint, reason=reason)
    publish([Fact("webhook.disabled", endpoint.workspace_id, data)])


def _notify_failing(endpoint: Endpoint, last: RequestResult) -> None:
    endpoint.failing_notified_at = timezone.now()
    endpoint.save(update_fields=["failing_notified_at"])
    assert endpoint.failing_since is not None
    data = _event_data(
        endpoint,
        last_error=last.reason,
        last_status_code=last.status,
        disabled_from=iso(endpoint.failing_since + DISABLED_AFTER),
    )
    publish([Fact("webhook.failing", endpoint.workspace_id, data)])


def _event_data(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    since = endpoint.failing_since
    return {
        "webhook_id": str(endpoint.pk),
        "endpoint": endpoint.url,
        "failing_since": iso(since) if since else None,
        "failures_in_a_row": endpoint.failures_in_a_row,
        **more,
    }
