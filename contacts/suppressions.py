"""The verbs on suppressions, and what people say themselves: that they want no more mail.

Whoever writes suppressions and contacts in one transaction writes the suppressions first, so that
two of them never wait for each other.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Collate, Lower
from django.utils import timezone

from accounts.models import Workspace
from contacts.models import Contact, Suppression
from core.addresses import identity
from core.db import prepared
from core.db.ids import uuid7
from core.times import iso
from events.payloads.contacts import ContactOut, SuppressionOut
from events.services import Fact, publish

SIMULATOR = "@simulator.amazonses.com"

_SUPPRESSED_AMONG = """
    SELECT email, origin FROM suppressions WHERE workspace_id = %s AND email = ANY(%s)
"""
_SUPPRESSED = """
    SELECT workspace_id, email, origin FROM suppressions
     WHERE (workspace_id, email) IN (SELECT * FROM unnest(%s::uuid[], %s::text[]))
"""


@dataclass(frozen=True, slots=True)
class SuppressionRequest:
    """Why an address is to be suppressed: `at` and the ids name the fact behind it."""

    workspace_id: UUID
    email: str
    origin: str
    at: datetime
    email_id: UUID | None = None
    event_id: UUID | None = None


def find_suppressed_in(workspace: Workspace, addresses: Iterable[str]) -> dict[str, str]:
    """Of these lower-case addresses, those that get no mail, with the origin."""
    with prepared.cursor() as cursor:
        cursor.execute(_SUPPRESSED_AMONG, [workspace.pk, list(addresses)])
        return dict(cursor)


def find_suppressed(people: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], str]:
    """Of these (workspace, lower-case address), those that get no mail, with the origin."""
    wanted = set(people)
    with connection.cursor() as cursor:
        cursor.execute(
            _SUPPRESSED,
            [[workspace for workspace, _ in wanted], [address for _, address in wanted]],
        )
        return {(workspace, address): origin for workspace, address, origin in cursor}


def suppress(causes: Sequence[SuppressionRequest]) -> list[Suppression]:
    """Suppress the addresses; publishes `suppression.added` for each that wasn't, returning those.

    The strongest cause of an address wins, and among equals the earliest, whatever the order
    in which they come. SES's simulator is never suppressed.
    """
    strongest: dict[tuple[UUID, str], SuppressionRequest] = {}
    for cause in causes:
        key = (cause.workspace_id, cause.email.lower())
        if not key[1].endswith(SIMULATOR):
            strongest[key] = min(strongest.get(key, cause), cause, key=_weight)
    if not strongest:
        return []
    with transaction.atomic():
        added = _upsert([strongest[key] for key in sorted(strongest)])
        publish([Fact("suppression.added", row.workspace_id, snapshot(row)) for row in added])
    return added


def unsuppress(suppressions: Sequence[Suppression]) -> list[Suppression]:
    """Let mail go to these addresses again; publishes `suppression.removed` for each.

    Contacts follow: who was suppressed as unsubscribed is subscribed again. Who was suppressed for
    another reason, and unsubscribed besides, stays suppressed as that. Returns what was removed.
    """
    with transaction.atomic():
        removed = lift(suppressions)
        _settle_contacts(removed)
    return removed


def lift(suppressions: Sequence[Suppression]) -> list[Suppression]:
    """As `unsuppress`, but the contacts are the caller's business. Wants a transaction."""
    rows = Suppression.objects.filter(pk__in=[row.pk for row in suppressions])
    found = list(rows.order_by("workspace_id", Collate("email", "C")).select_for_update())
    if found:
        rows.delete()
    publish([Fact("suppression.removed", row.workspace_id, snapshot(row)) for row in found])
    return found


def record_unsubscribe(people: Iterable[tuple[UUID, str]]) -> None:
    """Note that the owners of (workspace, address) want no more mail.

    Makes the contact when there is none; publishes contact.created or, when it was
    subscribed, contact.updated.
    """
    # In one order everywhere, so that two workers with the same people never deadlock.
    wanted = sorted({(workspace_id, email.lower()) for workspace_id, email in people})
    if not wanted:
        return
    with transaction.atomic():
        publish([_unsubscribed(*row) for row in _unsubscribe(wanted)])


def snapshot(suppression: Suppression) -> dict[str, Any]:
    return SuppressionOut(
        id=str(suppression.pk),
        email=suppression.email,
        origin=suppression.origin,
        source_id=str(suppression.email_id) if suppression.email_id else None,
        created_at=iso(suppression.created_at),
    ).model_dump()


def contact_snapshot(contact: Contact) -> dict[str, Any]:
    return ContactOut(
        id=str(contact.pk),
        email=contact.email,
        first_name=contact.first_name or None,
        last_name=contact.last_name or None,
        unsubscribed=contact.unsubscribed,
        created_at=iso(contact.created_at),
    ).model_dump()


def contact_changed(contact: Contact, fields: Sequence[str]) -> Fact:
    data = contact_snapshot(contact) | {"changed_fields": list(fields)}
    return Fact("contact.updated", contact.workspace_id, data)


def _settle_contacts(removed: Sequence[Suppression]) -> None:
    """Keep contacts that have unsubscribed and the list of suppressions in step."""
    origins = {(row.workspace_id, row.email): row.origin for row in removed}
    contacts = _unsubscribed_contacts(origins)
    by_wish = Suppression.Origin.UNSUBSCRIBED
    subscribed = [contact for contact in contacts if origins[_person(contact)] == by_wish]
    for contact in subscribed:
        contact.unsubscribed = False
    if subscribed:
        rows = Contact.objects.filter(pk__in=[contact.pk for contact in subscribed])
        rows.update(unsubscribed=False)
    publish([contact_changed(contact, ["unsubscribed"]) for contact in subscribed])
    suppress([wish(*_person(contact)) for contact in contacts if contact.unsubscribed])


def _unsubscribed_contacts(people: Collection[tuple[UUID, str]]) -> list[Contact]:
    """Those of (workspace, lower-case address) that are contacts who want no mail, locked."""
    if not people:
        return []
    rows = Contact.objects.alias(identity=Lower("email")).filter(
        workspace__in={workspace_id for workspace_id, _ in people},
        identity__in={address for _, address in people},
        unsubscribed=True,
    )
    ordered = rows.order_by("workspace_id", Collate("identity", "C"))
    return [contact for contact in ordered.select_for_update() if _person(contact) in people]


def _person(contact: Contact) -> tuple[UUID, str]:
    return contact.workspace_id, identity(contact.email)


def wish(workspace_id: UUID, email: str) -> SuppressionRequest:
    """The cause to suppress somebody who wants no more mail from now on."""
    origin = Suppression.Origin.UNSUBSCRIBED
    return SuppressionRequest(
        workspace_id=workspace_id, email=email, origin=origin, at=timezone.now()
    )


def _weight(cause: SuppressionRequest) -> tuple[int, datetime, str]:
    return -Suppression.STRENGTH[Suppression.Origin(cause.origin)], cause.at, str(cause.email_id)


def _upsert(causes: list[SuppressionRequest]) -> list[Suppression]:
    """One statement; the rows that it added (xmax is 0 only for a fresh row)."""
    strengths = ", ".join(
        f"('{origin.value}', {strength})" for origin, strength in Suppression.STRENGTH.items()
    )
    columns = list(
        zip(
            *[
                (
                    uuid7(),
                    cause.workspace_id,
                    cause.email.lower(),
                    cause.origin,
                    cause.email_id,
                    cause.event_id,
                    cause.at,
                )
                for cause in causes
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
        found = cursor.fetchall()
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
        for row in found
        if row[7]
    ]


def _unsubscribe(people: list[tuple[UUID, str]]) -> list[tuple[Contact, bool]]:
    """One statement; the contacts that it added or changed, and whether it added them."""
    rows = [(uuid7(), workspace_id, email) for workspace_id, email in people]
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
        found = cursor.fetchall()
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
        for row in found
    ]


def _unsubscribed(contact: Contact, created: bool) -> Fact:
    if created:
        return Fact("contact.created", contact.workspace_id, contact_snapshot(contact))
    return contact_changed(contact, ["unsubscribed"])
