"""Suppress an address after soft bounces on three distinct days within thirty days."""

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

_LOCK = crc32(b"soft bounces") >> 1  # the namespace of an advisory lock is a signed integer
_BUCKETS = 256


class Bounce(NamedTuple):
    at: datetime
    email_id: UUID
    event_id: UUID


def soft_bounce_suppressions(addresses: Iterable[tuple[UUID, str]]) -> list[SuppressionRequest]:
    """Suppressions for those (workspace, lower-case address) that have reached the limit.

    The cause is the earliest bounce that reached it, so the result doesn't depend on the order
    in which SES reports the bounces.
    """
    bounced = set(addresses)
    if not bounced:
        return []
    _lock_addresses(bounced)
    rows = (
        EmailEvent.objects.alias(address=Lower("recipient"))
        .filter(
            status="soft_bounced",
            workspace__in={workspace for workspace, _ in bounced},
            address__in={address for _, address in bounced},
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
            at=cause.at,
            email_id=cause.email_id,
            event_id=cause.event_id,
        )
        for workspace, address in sorted(bounced)
        if (cause := _cause(bounces[workspace, address]))
    ]


def _lock_addresses(addresses: set[tuple[UUID, str]]) -> None:
    """Serialize transactions on one address: neither would see the other's uncommitted bounce.

    The locks end with the transaction. Addresses are hashed into buckets to bound their number.
    """
    names = (f"{workspace}\n{address}".encode() for workspace, address in addresses)
    buckets = sorted({crc32(name) % _BUCKETS for name in names})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, bucket) FROM unnest(%s::int[]) AS bucket",
            [_LOCK, buckets],
        )


def _cause(bounces: list[Bounce]) -> Bounce | None:
    for last in bounces:
        days = {each.at.date() for each in bounces if last.at - WITHIN <= each.at <= last.at}
        if len(days) >= DAYS:
            return last
    return None
