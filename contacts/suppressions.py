"""Adds and removes suppressions, and records unsubscribes.

A transaction that writes both suppressions and contacts writes the suppressions first, so that two
of them never deadlock.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Collate, Lower
from django.utils import timezone
from psycopg import sql

from accounts.models import Workspace
from contacts.event_types import contact_snapshot, suppression_snapshot
from contacts.models import Contact, Suppression
from contacts.ses_removals import request_removals
from core.addresses import identity, is_simulated
from core.db import bulk, prepared
from core.db.ids import uuid7
from events.services import Fact, publish

_SUPPRESSED_AMONG = """
    SELECT email, origin FROM suppressions WHERE workspace_id = %s AND email = ANY(%s)
"""
_SUPPRESSED = """
    SELECT workspace_id, email, origin FROM suppressions
     WHERE (workspace_id, email) IN (SELECT * FROM unnest(%s::uuid[], %s::text[]))
"""


@dataclass(frozen=True, slots=True)
class SuppressionRequest:
    """A request to suppress an address: `at` and the ids identify the cause."""

    workspace_id: UUID
    email: str
    origin: str
    at: datetime
    email_id: UUID | None = None
    event_id: UUID | None = None


def find_suppressed_addresses(workspace: Workspace, addresses: Iterable[str]) -> dict[str, str]:
    """The suppressed ones of these lower-case addresses, with their origins."""
    with prepared.cursor() as cursor:
        cursor.execute(_SUPPRESSED_AMONG, [workspace.pk, list(addresses)])
        return dict(cursor)


def find_suppressed_recipients(
    addresses: Iterable[tuple[UUID, str]],
) -> dict[tuple[UUID, str], str]:
    """The suppressed ones of these (workspace, lower-case address) pairs, with their origins."""
    keys = set(addresses)
    with connection.cursor() as cursor:
        cursor.execute(
            _SUPPRESSED,
            [[workspace for workspace, _ in keys], [address for _, address in keys]],
        )
        return {(workspace, address): origin for workspace, address, origin in cursor}


def suppress(requests: Sequence[SuppressionRequest]) -> list[Suppression]:
    """Suppress addresses; publishes `suppression.added` for each new row and returns the new rows.

    The strongest origin of an address wins, then the earliest request, whatever order they arrive
    in. Test addresses and those of the SES mailbox simulator are never suppressed.
    """
    strongest: dict[tuple[UUID, str], SuppressionRequest] = {}
    for request in requests:
        key = (request.workspace_id, request.email.lower())
        if not is_simulated(key[1]):
            strongest[key] = min(strongest.get(key, request), request, key=_precedence)
    if not strongest:
        return []
    with transaction.atomic():
        added = _upsert([strongest[key] for key in sorted(strongest)])
        publish([_suppression_fact("suppression.added", row) for row in added])
    return added


def correct_soft_bounces(causes: Mapping[tuple[UUID, str], SuppressionRequest | None]) -> None:
    """Give `soft_bounces` suppressions of these addresses their right causes.

    One without a cause is removed, like by `unsuppress`. Those that were added by hand or from a
    file have no event as their cause, and stay. Lock the addresses first: see `lock_suppressions`.
    """
    if not causes:
        return
    rows = [
        row
        for row in _among(causes)
        if row.origin == Suppression.Origin.SOFT_BOUNCES and row.event_id
    ]
    moved = [
        {
            "id": row.pk,
            "email_id": cause.email_id,
            "event_id": cause.event_id,
            "created_at": cause.at,
        }
        for row in rows
        if (cause := causes[row.workspace_id, row.email]) and cause.event_id != row.event_id
    ]
    bulk.update_each(
        Suppression,
        moved,
        sets=sql.SQL(
            "email_id = new.email_id, event_id = new.event_id, created_at = new.created_at"
        ),
    )
    unsuppress([row for row in rows if causes[row.workspace_id, row.email] is None])


def lock_suppressions(addresses: Collection[tuple[UUID, str]]) -> None:
    """Lock the suppressions of these (workspace, lower-case address) pairs in the usual order.

    For transactions that write suppressions twice: otherwise two of them could deadlock.
    """
    _among(addresses, lock=True)


def _among(addresses: Collection[tuple[UUID, str]], *, lock: bool = False) -> list[Suppression]:
    rows = Suppression.objects.filter(
        workspace__in={workspace_id for workspace_id, _ in addresses},
        email__in={address for _, address in addresses},
    ).order_by("workspace_id", Collate("email", "C"))
    found = rows.select_for_update() if lock else rows
    return [row for row in found if (row.workspace_id, row.email) in addresses]


def unsuppress(suppressions: Sequence[Suppression]) -> list[Suppression]:
    """Remove suppressions; publishes `suppression.removed` for each. Returns the removed rows.

    Removing an `unsubscribed` suppression resubscribes the contact. Removing any other one from an
    unsubscribed contact leaves a new `unsubscribed` suppression in its place.
    """
    with transaction.atomic():
        removed = delete_suppressions(suppressions)
        _sync_contacts(removed)
    return removed


def delete_suppressions(suppressions: Sequence[Suppression]) -> list[Suppression]:
    """Like `unsuppress`, without updating contacts. The caller must be in a transaction.

    SES is asked to take the addresses off its own list, too, once the transaction has committed.
    """
    rows = Suppression.objects.filter(pk__in=[row.pk for row in suppressions])
    locked = list(rows.order_by("workspace_id", Collate("email", "C")).select_for_update())
    if locked:
        rows.delete()
        request_removals(locked)
    publish([_suppression_fact("suppression.removed", row) for row in locked])
    return locked


def record_unsubscribe(addresses: Iterable[tuple[UUID, str]]) -> None:
    """Mark the contacts of these (workspace, address) pairs as unsubscribed.

    Creates missing contacts. Publishes `contact.created`, or `contact.updated` for a contact that
    was subscribed.
    """
    # Sorted, so that two workers with the same addresses never deadlock.
    keys = sorted({(workspace_id, email.lower()) for workspace_id, email in addresses})
    if not keys:
        return
    with transaction.atomic():
        publish([_unsubscribe_fact(*row) for row in _upsert_unsubscribed(keys)])


def contact_fact(type_name: str, contact: Contact, **more: Any) -> Fact:
    data = contact_snapshot(contact).model_dump() | more
    return Fact(type_name, contact.workspace_id, data)


def contact_changed(contact: Contact, fields: Sequence[str]) -> Fact:
    return contact_fact("contact.updated", contact, changed_fields=list(fields))


def _sync_contacts(removed: Sequence[Suppression]) -> None:
    """Keep unsubscribed contacts consistent with their suppressions."""
    origins = {(row.workspace_id, row.email): row.origin for row in removed}
    contacts = _lock_unsubscribed(origins)
    unsubscribed = Suppression.Origin.UNSUBSCRIBED
    resubscribed = [contact for contact in contacts if origins[_key(contact)] == unsubscribed]
    for contact in resubscribed:
        contact.unsubscribed = False
    if resubscribed:
        rows = Contact.objects.filter(pk__in=[contact.pk for contact in resubscribed])
        rows.update(unsubscribed=False)
    publish([contact_changed(contact, ["unsubscribed"]) for contact in resubscribed])
    suppress([unsubscribe_request(*_key(contact)) for contact in contacts if contact.unsubscribed])


def _lock_unsubscribed(keys: Collection[tuple[UUID, str]]) -> list[Contact]:
    """Lock the unsubscribed contacts of these (workspace, lower-case address) pairs."""
    if not keys:
        return []
    rows = Contact.objects.alias(identity=Lower("email")).filter(
        workspace__in={workspace_id for workspace_id, _ in keys},
        identity__in={address for _, address in keys},
        unsubscribed=True,
    )
    ordered = rows.order_by("workspace_id", Collate("identity", "C"))
    return [contact for contact in ordered.select_for_update() if _key(contact) in keys]


def _key(contact: Contact) -> tuple[UUID, str]:
    return contact.workspace_id, identity(contact.email)


def unsubscribe_request(workspace_id: UUID, email: str) -> SuppressionRequest:
    """A request to suppress an address that unsubscribes now."""
    origin = Suppression.Origin.UNSUBSCRIBED
    return SuppressionRequest(
        workspace_id=workspace_id, email=email, origin=origin, at=timezone.now()
    )


def _precedence(request: SuppressionRequest) -> tuple[int, datetime, str]:
    strength = Suppression.STRENGTH[Suppression.Origin(request.origin)]
    return -strength, request.at, str(request.email_id)


def _upsert(requests: list[SuppressionRequest]) -> list[Suppression]:
    """One statement; returns the inserted rows (xmax is 0 only for an insert)."""
    strengths = ", ".join(
        f"('{origin.value}', {strength})" for origin, strength in Suppression.STRENGTH.items()
    )
    columns = list(
        zip(
            *[
                (
                    uuid7(),
                    request.workspace_id,
                    request.email.lower(),
                    request.origin,
                    request.email_id,
                    request.event_id,
                    request.at,
                )
                for request in requests
            ],
            strict=True,
        )
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH strength (origin, weight) AS (VALUES {strengths})
            INSERT INTO suppressions AS kept
                   (id, workspace_id, email, origin, email_id, event_id, created_at)
            SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::uuid[],
                                 %s::uuid[], %s::timestamptz[])
            ON CONFLICT (workspace_id, email) DO UPDATE
               SET origin = excluded.origin, email_id = excluded.email_id,
                   event_id = excluded.event_id, created_at = excluded.created_at
             WHERE ((SELECT -weight FROM strength WHERE origin = excluded.origin),
                    excluded.created_at, excluded.email_id)
                 < ((SELECT -weight FROM strength WHERE origin = kept.origin),
                    kept.created_at, kept.email_id)
            RETURNING id, workspace_id, email, origin, email_id, event_id, created_at,
                      xmax = 0
            """,  # noqa: S608 (only constants of this module)
            [list(column) for column in columns],
        )
        rows = cursor.fetchall()
    return [
        Suppression(
            id=row[0],
            workspace_id=row[1],
            email=row[2],
            origin=row[3],
            email_id=row[4],
            event_id=row[5],
            created_at=row[6],
        )
        for row in rows
        if row[7]
    ]


def _upsert_unsubscribed(keys: list[tuple[UUID, str]]) -> list[tuple[Contact, bool]]:
    """One statement; returns the inserted or changed contacts, and whether each was inserted."""
    rows = [(uuid7(), workspace_id, email) for workspace_id, email in keys]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO contacts AS kept
                   (id, workspace_id, email, first_name, last_name, unsubscribed, created_at)
            SELECT id, workspace_id, email, '', '', true, now()
              FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS new (id, workspace_id, email)
            ON CONFLICT (workspace_id, lower(email)) DO UPDATE SET unsubscribed = true
             WHERE NOT kept.unsubscribed
            RETURNING id, workspace_id, email, first_name, last_name, created_at, xmax = 0
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
        written = cursor.fetchall()
    return [
        (
            Contact(
                id=row[0],
                workspace_id=row[1],
                email=row[2],
                first_name=row[3],
                last_name=row[4],
                unsubscribed=True,
                created_at=row[5],
            ),
            row[6],
        )
        for row in written
    ]


def _unsubscribe_fact(contact: Contact, created: bool) -> Fact:
    if created:
        return contact_fact("contact.created", contact)
    return contact_changed(contact, ["unsubscribed"])


def _suppression_fact(type_name: str, suppression: Suppression) -> Fact:
    data = suppression_snapshot(suppression).model_dump()
    return Fact(type_name, suppression.workspace_id, data)
