"""Three soft bounces on three distinct days within thirty: the address gets no more mail."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from django.db import connection
from django.db.models.functions import Lower

from contacts.models import Suppression
from contacts.suppressions import SuppressionRequest
from emails.models import EmailEvent

DAYS = 3
WITHIN = timedelta(days=30)

_LOCK = crc32(b"soft bounces") >> 1  # advisory locks are told apart by a signed integer
_BUCKETS = 256


class Bounce(NamedTuple):
    at: datetime
    email_id: UUID
    event_id: UUID


def soft_bounce_suppressions(addresses: Iterable[tuple[UUID, str]]) -> list[SuppressionRequest]:
    """Of these (workspace, lower-case address), the ones that have bounced softly too often.

    The cause is the bounce that filled the measure first in time, so it doesn't depend on the
    order in which bounces are reported.
    """
    wanted = set(addresses)
    if not wanted:
        return []
    _wait_for_others(wanted)
    rows = (
        EmailEvent.objects.alias(address=Lower("recipient"))
        .filter(
            status="soft_bounced",
            workspace__in={workspace for workspace, _ in wanted},
            address__in={address for _, address in wanted},
        )
        .order_by("occurred_at", "email_id", "pk")
    )
    bounces: defaultdict[tuple[UUID, str], list[Bounce]] = defaultdict(list)
    for workspace, address, *bounce in rows.values_list(
        "workspace_id", Lower("recipient"), "occurred_at", "email_id", "pk"
    ):
        bounces[workspace, address].append(Bounce(*bounce))
    return [
        SuppressionRequest(
            workspace_id=workspace,
            email=address,
            origin=Suppression.Origin.SOFT_BOUNCES,
            at=full.at,
            email_id=full.email_id,
            event_id=full.event_id,
        )
        for workspace, address in sorted(wanted)
        if (full := _filled(bounces[workspace, address]))
    ]


def _wait_for_others(wanted: set[tuple[UUID, str]]) -> None:
    """Two transactions with a bounce each of one address would miss each other's: one waits.

    The locks end with the transaction; a bucket each, so that their number is bounded.
    """
    names = (f"{workspace}\n{address}".encode() for workspace, address in wanted)
    buckets = sorted({crc32(name) % _BUCKETS for name in names})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, bucket) FROM unnest(%s::int[]) AS bucket",
            [_LOCK, buckets],
        )


def _filled(bounces: list[Bounce]) -> Bounce | None:
    for last in bounces:
        window = {each.at.date() for each in bounces if last.at - WITHIN <= each.at <= last.at}
        if len(window) >= DAYS:
            return last
    return None
