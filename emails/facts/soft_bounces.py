"""Suppress an address after soft bounces on three distinct days within thirty days.

A bounce counts if it is about the mailbox and its email was not delivered to the recipient: SES
reports out-of-office replies as soft bounces after the delivery.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from django.db import connection
from django.db.models import Exists, OuterRef
from django.db.models.functions import Lower

from contacts.models import Suppression
from contacts.suppressions import SuppressionRequest
from emails.models import EmailEvent

DAYS = 3
WITHIN = timedelta(days=30)
DELIVERED = "delivered"  # the type of fact that refutes a soft bounce

Address = tuple[UUID, str]  # the workspace and the lower-case address

_LOCK = crc32(b"soft bounces") >> 1  # the namespace of an advisory lock is a signed integer
_BUCKETS = 256


class Bounce(NamedTuple):
    at: datetime
    email_id: UUID
    event_id: UUID


class Review(NamedTuple):
    """New suppressions, and the right cause of existing ones: None if there is none left."""

    requests: list[SuppressionRequest]
    corrections: dict[Address, SuppressionRequest | None]


def review_soft_bounces(bounced: set[Address], refuted: set[Address]) -> Review:
    """Suppressions for those of `bounced` that have reached the limit.

    The cause is the earliest bounce that reached it. `refuted` are addresses with a bounced email
    that was delivered after all: a suppression that it caused needs another cause. So the result
    doesn't depend on the order in which SES reports bounces and deliveries.
    """
    addresses = bounced | refuted
    if not addresses:
        return Review([], {})
    _lock_addresses(addresses)
    bounces = _counted_bounces(addresses)
    requests = {
        address: _request(address, cause)
        for address in sorted(addresses)
        if (cause := _cause(bounces[address]))
    }
    return Review(
        [request for address, request in requests.items() if address in bounced],
        {address: requests.get(address) for address in refuted},
    )


def _counted_bounces(addresses: set[Address]) -> defaultdict[Address, list[Bounce]]:
    """The bounces that count, earliest first."""
    delivered = EmailEvent.objects.filter(
        email=OuterRef("email"), type=DELIVERED, recipient=OuterRef("recipient")
    )
    rows = (
        EmailEvent.objects.alias(address=Lower("recipient"))
        .filter(
            ~Exists(delivered),
            status="soft_bounced",
            counts_against_address=True,
            workspace__in={workspace for workspace, _ in addresses},
            address__in={address for _, address in addresses},
        )
        .order_by("occurred_at", "email_id", "pk")
    )
    bounces: defaultdict[Address, list[Bounce]] = defaultdict(list)
    for workspace, address, *bounce in rows.values_list(
        "workspace_id", Lower("recipient"), "occurred_at", "email_id", "pk"
    ):
        bounces[workspace, address].append(Bounce(*bounce))
    return bounces


def _request(address: Address, cause: Bounce) -> SuppressionRequest:
    workspace, email = address
    return SuppressionRequest(
        workspace_id=workspace,
        email=email,
        origin=Suppression.Origin.SOFT_BOUNCES,
        at=cause.at,
        email_id=cause.email_id,
        event_id=cause.event_id,
    )


def _lock_addresses(addresses: set[Address]) -> None:
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
