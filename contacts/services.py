"""Creates, updates and deletes contacts.

Sending checks only suppressions, so an unsubscribed contact always has one.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Collate

from accounts.models import Workspace
from contacts.models import Contact, Suppression
from contacts.suppressions import (
    contact_changed,
    contact_fact,
    delete_suppressions,
    suppress,
    unsubscribe_request,
)
from core.addresses import identity
from core.db import bulk
from core.errors import Conflict, NotFound, ValidationFailed
from events.services import publish

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
    """Create a contact; publishes `contact.created`. ContactExists when the address is taken.

    A contact who unsubscribed earlier stays unsubscribed: re-adding someone is not consent.
    """
    contact = Contact(
        workspace=workspace,
        email=email,
        first_name=first_name,
        last_name=last_name,
        properties=_merged({}, properties or {}),
    )
    with transaction.atomic():
        contact.unsubscribed = unsubscribed or _has_unsubscribed(contact)
        if unsubscribed:
            suppress([unsubscribe_request(workspace.pk, email)])
        row = {field.attname: getattr(contact, field.attname) for field in Contact._meta.fields}
        if not bulk.insert_ignoring_conflicts(Contact, [row]):
            raise _contact_exists(workspace.pk, email)
        publish([contact_fact("contact.created", contact)])
    return contact


def update_contact(contact: Contact, changes: Mapping[str, Any]) -> Contact:
    """Update the fields in `changes`; publishes `contact.updated` if a value differs.

    Properties are merged by name; None removes one. ContactExists when another contact has the
    new address, NotFound when this contact was deleted.
    """
    while (updated := _update_if_unchanged(contact, changes)) is None:
        contact = _reload(contact)
    return updated


def delete_contact(contact: Contact) -> None:
    """Delete a contact; publishes `contact.deleted`. Keeps a suppression of the address."""
    with transaction.atomic():
        current = _reload(contact, lock=True)
        Contact.objects.filter(pk=current.pk).delete()
        publish([contact_fact("contact.deleted", current)])


def _update_if_unchanged(contact: Contact, changes: Mapping[str, Any]) -> Contact | None:
    """None, with nothing written, when `contact` is stale in a field that affects suppressions."""
    try:
        with transaction.atomic():
            affects_suppressions = {"email", "unsubscribed"} & changes.keys()
            if affects_suppressions:
                _sync_suppressions(contact, changes)
            current = _reload(contact, lock=True)
            if affects_suppressions and _suppression_state(current) != _suppression_state(contact):
                transaction.set_rollback(True)
                return None
            if changed := _apply(current, changes):
                current.save(update_fields=changed)
                publish([contact_changed(current, changed)])
            return current
    except IntegrityError:
        raise _contact_exists(contact.workspace_id, changes["email"]) from None


def _sync_suppressions(contact: Contact, changes: Mapping[str, Any]) -> None:
    """Add or delete suppressions before the contact is locked (see contacts.suppressions)."""
    email = changes.get("email", contact.email)
    if changes.get("unsubscribed", contact.unsubscribed):
        suppress([unsubscribe_request(contact.workspace_id, email)])
    elif "unsubscribed" in changes:
        rows = Suppression.objects.filter(
            workspace=contact.workspace_id,
            email__in=sorted({identity(contact.email), identity(email)}),
            origin=Suppression.Origin.UNSUBSCRIBED,
        )
        delete_suppressions(list(rows.order_by(Collate("email", "C")).select_for_update()))


def _apply(contact: Contact, changes: Mapping[str, Any]) -> list[str]:
    """Set the fields that differ; returns their names."""
    changed = []
    for name, value in changes.items():
        before = getattr(contact, name)
        after = _merged(before, value) if name == "properties" else value
        if _differs(name, before, after):
            setattr(contact, name, after)
            changed.append(name)
    return changed


def _differs(name: str, before: Any, after: Any) -> bool:
    match name:
        case "email":  # Resend's clients identify the contact by it, in any case
            return identity(before) != identity(after)
        case "properties":
            return _typed(before) != _typed(after)
        case _:
            return bool(before != after)


def _typed(properties: Mapping[str, Property]) -> dict[str, tuple[bool, Property]]:
    """For comparing: in Python, True == 1."""
    return {name: (isinstance(value, bool), value) for name, value in properties.items()}


def _merged(
    properties: Mapping[str, Property], given: Mapping[str, Property | None]
) -> dict[str, Property]:
    merged = {name: value for name, value in {**properties, **given}.items() if value is not None}
    if len(merged) > MAX_PROPERTIES:
        raise ValidationFailed({"properties": f"must have at most {MAX_PROPERTIES} entries"})
    return merged


def _suppression_state(contact: Contact) -> tuple[str, bool]:
    return identity(contact.email), contact.unsubscribed


def _has_unsubscribed(contact: Contact) -> bool:
    rows = Suppression.objects.filter(workspace=contact.workspace_id).at(contact.email)
    return rows.filter(origin=Suppression.Origin.UNSUBSCRIBED).exists()


def _reload(contact: Contact, *, lock: bool = False) -> Contact:
    rows = Contact.objects.filter(pk=contact.pk)
    current = (rows.select_for_update() if lock else rows).first()
    if current is None:
        raise NotFound(f"The contact `{contact.pk}` was deleted.")
    return current


def _contact_exists(workspace_id: UUID, email: str) -> ContactExists:
    existing = Contact.objects.filter(workspace=workspace_id).at(email).first()
    return ContactExists(
        f"A contact with the address `{email}` already exists. Update that one.",
        details={"id": str(existing.pk)} if existing else None,
    )
