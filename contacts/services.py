"""The verbs on contacts. A contact that has unsubscribed is suppressed as such.

So `unsubscribed` isn't only a note: the list of suppressions is what sending looks at.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Collate

from accounts.models import Workspace
from contacts.models import Contact, Suppression
from contacts.suppressions import contact_changed, contact_snapshot, lift, suppress, wish
from core.addresses import identity
from core.db import bulk
from core.errors import Conflict, NotFound, ValidationFailed
from events.services import Fact, publish

MAX_PROPERTIES = 50

Property = str | bool | int | float


class ContactExists(Conflict):
    name = "contact_exists"


def create_contact(
    *,
    workspace: Workspace,
    email: str,
    first_name: str = "",
    last_name: str = "",
    unsubscribed: bool = False,
    properties: Mapping[str, Property | None] | None = None,
) -> Contact:
    """Add a person; publishes `contact.created`. ContactExists when the address is taken.

    Who had unsubscribed is added as unsubscribed: being added anew is no consent.
    """
    contact = Contact(
        workspace=workspace,
        email=email,
        first_name=first_name,
        last_name=last_name,
        properties=_merged({}, properties or {}),
    )
    with transaction.atomic():
        contact.unsubscribed = unsubscribed or _opted_out(contact)
        if unsubscribed:
            suppress([wish(workspace.pk, email)])
        row = {field.attname: getattr(contact, field.attname) for field in Contact._meta.fields}
        if not bulk.insert_ignoring_conflicts(Contact, [row]):
            raise _taken(workspace.pk, email)
        publish([Fact("contact.created", workspace.pk, contact_snapshot(contact))])
    return contact


def update_contact(contact: Contact, changes: Mapping[str, Any]) -> Contact:
    """Write the fields that `changes` names; publishes `contact.updated` if one is new.

    Properties are merged by name, and None takes one away. ContactExists when another contact
    has the new address, NotFound when this one is gone.
    """
    while (updated := _update_as_seen(contact, changes)) is None:
        contact = _current(contact)
    return updated


def delete_contact(contact: Contact) -> None:
    """Forget a person; publishes `contact.deleted`. A suppression of the address stays."""
    with transaction.atomic():
        last = _current(contact, lock=True)
        Contact.objects.filter(pk=last.pk).delete()
        publish([Fact("contact.deleted", last.workspace_id, contact_snapshot(last))])


def _update_as_seen(contact: Contact, changes: Mapping[str, Any]) -> Contact | None:
    """None, with nothing written, when `contact` is out of date in what suppressions hang on."""
    try:
        with transaction.atomic():
            decisive = {"email", "unsubscribed"} & changes.keys()
            if decisive:
                _follow(contact, changes)
            current = _current(contact, lock=True)
            if decisive and _decisive(current) != _decisive(contact):
                transaction.set_rollback(True)
                return None
            if changed := _apply(current, changes):
                current.save(update_fields=changed)
                publish([contact_changed(current, changed)])
            return current
    except IntegrityError:
        raise _taken(contact.workspace_id, changes["email"]) from None


def _follow(contact: Contact, changes: Mapping[str, Any]) -> None:
    """Suppress or lift, before the contact is locked (contacts.suppressions says why)."""
    email = changes.get("email", contact.email)
    if changes.get("unsubscribed", contact.unsubscribed):
        suppress([wish(contact.workspace_id, email)])
    elif "unsubscribed" in changes:
        rows = Suppression.objects.filter(
            workspace=contact.workspace_id,
            email__in=sorted({identity(contact.email), identity(email)}),
            origin=Suppression.Origin.UNSUBSCRIBED,
        )
        lift(list(rows.order_by(Collate("email", "C")).select_for_update()))


def _apply(contact: Contact, changes: Mapping[str, Any]) -> list[str]:
    """Set what differs; the names of those fields."""
    changed = []
    for name, value in changes.items():
        before = getattr(contact, name)
        after = _merged(before, value) if name == "properties" else value
        if _differ(name, before, after):
            setattr(contact, name, after)
            changed.append(name)
    return changed


def _differ(name: str, before: Any, after: Any) -> bool:
    match name:
        case "email":  # Resend's clients name the contact by it, in any spelling
            return identity(before) != identity(after)
        case "properties":
            return _typed(before) != _typed(after)
        case _:
            return bool(before != after)


def _typed(properties: Mapping[str, Property]) -> dict[str, tuple[bool, Property]]:
    """For comparing: to Python, true is 1."""
    return {name: (isinstance(value, bool), value) for name, value in properties.items()}


def _merged(
    properties: Mapping[str, Property], given: Mapping[str, Property | None]
) -> dict[str, Property]:
    both = {**properties, **given}
    merged = {name: value for name, value in both.items() if value is not None}
    if len(merged) > MAX_PROPERTIES:
        raise ValidationFailed({"properties": f"may be at most {MAX_PROPERTIES}"})
    return merged


def _decisive(contact: Contact) -> tuple[str, bool]:
    return identity(contact.email), contact.unsubscribed


def _opted_out(contact: Contact) -> bool:
    same = Suppression.objects.filter(workspace=contact.workspace_id).at(contact.email)
    return same.filter(origin=Suppression.Origin.UNSUBSCRIBED).exists()


def _current(contact: Contact, *, lock: bool = False) -> Contact:
    rows = Contact.objects.filter(pk=contact.pk)
    current = (rows.select_for_update() if lock else rows).first()
    if current is None:
        raise NotFound(f"There is no contact `{contact.pk}` any more.")
    return current


def _taken(workspace_id: UUID, email: str) -> ContactExists:
    there = Contact.objects.filter(workspace=workspace_id).at(email).first()
    return ContactExists(
        f"There is a contact with the address `{email}`. Change that one.",
        details={"id": str(there.pk)} if there else None,
    )
