"""Takes addresses off SES's own suppression list once their suppressions were removed here.

Without that SES would accept the next email to the address, not send it, and report a bounce
(OnAccountSuppressionList) that suppresses the address again.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Collate, Now
from django.utils import timezone

from contacts import queues, ses_list
from contacts.models import SesRemoval, Suppression
from core.db.ids import uuid7
from core.queue.backoff import Backoff
from core.queue.queues import Batch
from core.queue.wake import wake
from core.queue.work import Settlement

logger = logging.getLogger(__name__)

_LISTED_ORIGINS = [
    Suppression.Origin.BOUNCE.value,
    Suppression.Origin.COMPLAINT.value,
    Suppression.Origin.MANUAL.value,
]
BATCH = 10
LEASE = timedelta(minutes=5)  # ten calls of at most 20 s each, plus slack
BACKOFF = Backoff(first=timedelta(minutes=1), longest=timedelta(hours=1))
# SES allows about one call a second. The whole region waits: otherwise each row would make its own
# call to find out, and hanging calls would take the worker from other queues.
THROTTLED_FOR = timedelta(seconds=5)
UNAVAILABLE_FOR = timedelta(minutes=1)


def request_removals(removed: Sequence[Suppression]) -> None:
    """Ask for the removal of these addresses; the caller must be in the transaction that removed
    their suppressions.

    SES lists addresses for bounces and complaints only, which `manual` may hide. If weaker origins
    are all that is known, the address is not on its list.
    """
    rows = [row for row in removed if row.origin in _LISTED_ORIGINS]
    regions = ses_list.regions() if rows else set()
    if not regions:
        return
    keys = sorted({(row.workspace_id, row.email, region) for row in rows for region in regions})
    columns = [list(column) for column in zip(*keys, strict=True)]
    with connection.cursor() as cursor:
        # A running call may have been too early: its worker's lease is taken away.
        cursor.execute(
            """
            INSERT INTO ses_removals AS kept
                   (id, workspace_id, email, region, attempts, last_error, created_at,
                    next_attempt_at, claims, crashes)
            SELECT id, workspace_id, email, region, 0, '', now(), now(), 0, 0
              FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[])
                   AS new (id, workspace_id, email, region)
            ON CONFLICT (workspace_id, email, region) DO UPDATE
               SET next_attempt_at = now(), claims = kept.claims + 1, crashes = 0,
                   attempts = 0, last_error = '', removed_at = NULL, created_at = now()
            """,
            [[uuid7() for _ in keys], *columns],
        )
    wake(queues.REMOVE_FROM_SES.task)


def retry(removals: Sequence[SesRemoval]) -> int:
    """Make the removals due now; returns how many there still were."""
    with transaction.atomic():
        rows = SesRemoval.objects.open().filter(pk__in=[removal.pk for removal in removals])
        count = rows.update(next_attempt_at=Now())
        wake(queues.REMOVE_FROM_SES.task)
    return count


def find_removals(addresses: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], datetime | None]:
    """When SES took these (workspace, lower-case address) pairs off its list, or None for those
    that it still holds; without those whose removal was not asked for lately."""
    keys = set(addresses)
    if not keys:
        return {}
    rows = SesRemoval.objects.filter(
        workspace__in={workspace_id for workspace_id, _ in keys},
        email__in={email for _, email in keys},
    )
    found: dict[tuple[UUID, str], datetime | None] = {}
    for removal in rows:  # one for each region: the last counts
        key = (removal.workspace_id, removal.email)
        times = [removal.removed_at, *([found[key]] if key in found else [])]
        found[key] = None if None in times else max(filter(None, times))
    return {key: at for key, at in found.items() if key in keys}


def find_being_removed(removed: Iterable[Suppression]) -> set[UUID]:
    """The ids of those of these former suppressions that SES may still hold."""
    keys = {
        row.pk: (row.workspace_id, row.email) for row in removed if row.origin in _LISTED_ORIGINS
    }
    removals = find_removals(keys.values())
    return {pk for pk, key in keys.items() if key in removals and removals[key] is None}


def process_due() -> Batch:
    """Claim a batch and call SES for each address, one after the other, until a call fails."""
    claimed = SesRemoval.objects.claim(limit=BATCH, lease=LEASE)
    obsolete = _suppressed_again(claimed)
    waits: dict[str, timedelta] = {}
    outcomes = [
        _settlement(removal, None) if removal.pk in obsolete else _process(removal, waits)
        for removal in claimed
    ]
    with transaction.atomic():
        _lock(claimed)
        settled = SesRemoval.objects.settle(outcomes) & obsolete
        SesRemoval.objects.filter(pk__in=settled).delete()
    for region, delay in waits.items():
        _defer(region, delay)
    failed = sum(not outcome.changes["removed_at"] for outcome in outcomes) - len(obsolete)
    return Batch(len(claimed), processed=len(claimed) - failed, failed=failed)


def _lock(removals: Sequence[SesRemoval]) -> None:
    """In the order of `request_removals`, so that the two never deadlock."""
    rows = SesRemoval.objects.filter(pk__in=[removal.pk for removal in removals])
    ordered = rows.order_by("workspace_id", Collate("email", "C"), Collate("region", "C"))
    list(ordered.select_for_update().values_list("pk"))


def _defer(region: str, delay: timedelta) -> None:
    with transaction.atomic():
        due = SesRemoval.objects.due().filter(region=region)
        unlocked = due.select_for_update(skip_locked=True).values("pk")
        SesRemoval.objects.filter(pk__in=unlocked).update(next_attempt_at=Now() + delay)


def _suppressed_again(removals: Sequence[SesRemoval]) -> set[UUID]:
    """The ids of those whose address was suppressed meanwhile: SES may keep it."""
    if not removals:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT removal.id FROM ses_removals AS removal JOIN suppressions"
            " USING (workspace_id, email) WHERE removal.id = ANY(%s)"
            " AND suppressions.origin = ANY(%s)",
            [[removal.pk for removal in removals], _LISTED_ORIGINS],
        )
        return {removal_id for (removal_id,) in cursor}


def _process(removal: SesRemoval, waits: dict[str, timedelta]) -> Settlement:
    """The outcome; `waits` gets how long the region is left alone after a call that failed."""
    if wait := waits.get(removal.region):
        return _settlement(removal, wait, error=removal.last_error)
    if removal.is_poisoned:
        logger.error("Poisoned removal %s: the worker crashed on every claim", removal.pk)
        return _settlement(removal, None, error="the worker crashed on every attempt")
    try:
        ses_list.delete(removal.region, removal.email)
    except ses_list.AddressRefused as error:
        return _settlement(removal, None, error=str(error), attempts=removal.attempts + 1)
    except ses_list.ListThrottled:  # only too early
        waits[removal.region] = THROTTLED_FOR
        return _settlement(removal, THROTTLED_FOR, error=removal.last_error)
    except ses_list.ListUnavailable as error:
        logger.warning(
            "Could not remove an address from SES's suppression list",
            extra={"region": removal.region, "removal": str(removal.pk), "reason": str(error)},
        )
        waits[removal.region] = UNAVAILABLE_FOR
        attempts = removal.attempts + 1
        delay = BACKOFF.after(attempts)
        return _settlement(removal, delay, error=str(error), attempts=attempts)
    return _settlement(removal, None, removed_at=timezone.now())


def _settlement(
    removal: SesRemoval,
    retry_in: timedelta | None,
    *,
    error: str = "",
    attempts: int | None = None,
    removed_at: datetime | None = None,
) -> Settlement:
    changes = {
        "attempts": removal.attempts if attempts is None else attempts,
        "last_error": error[:1000],
        "removed_at": removed_at,
    }
    return Settlement(removal, retry_in, changes)
