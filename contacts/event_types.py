"""contact.* and suppression.*: the payloads of events, and the snapshots in them."""

from pydantic import BaseModel, Field

from contacts.models import Contact, Suppression
from core.times import iso
from events.catalogue import EventType
from events.payloads import Id, Payload, Time


class ContactOut(BaseModel):
    id: Id = Field(description="The contact's id.")
    email: str = Field(description="The contact's address.")
    first_name: str | None = Field(description="The first name, or null.")
    last_name: str | None = Field(description="The last name, or null.")
    unsubscribed: bool = Field(description="Whether the contact has unsubscribed from all mail.")
    created_at: Time = Field(description="When the contact was created.")


class ContactData(ContactOut, Payload):
    """A contact as it is now, or was when it was deleted."""


class ContactUpdated(ContactData):
    changed_fields: list[str] = Field(description="The names of the fields that changed.")


class SuppressionOut(BaseModel):
    id: Id = Field(description="The suppression's id.")
    email: str = Field(description="The address, in lower case.")
    origin: str = Field(
        description="The reason: `bounce`, `complaint`, `soft_bounces`, `manual` or `unsubscribed`."
    )
    source_id: Id | None = Field(description="The email that caused it, or null.")
    created_at: Time = Field(description="When its cause happened.")


class SuppressionData(SuppressionOut, Payload):
    """An address, and why it is or was suppressed."""


def contact_snapshot(contact: Contact) -> ContactOut:
    return ContactOut(
        id=str(contact.pk),
        email=contact.email,
        first_name=contact.first_name or None,
        last_name=contact.last_name or None,
        unsubscribed=contact.unsubscribed,
        created_at=iso(contact.created_at),
    )


def suppression_snapshot(suppression: Suppression) -> SuppressionOut:
    return SuppressionOut(
        id=str(suppression.pk),
        email=suppression.email,
        origin=suppression.origin,
        source_id=str(suppression.email_id) if suppression.email_id else None,
        created_at=iso(suppression.created_at),
    )


EVENT_TYPES = [
    EventType("contact.created", "contacts", "A contact was created.", ContactData),
    EventType("contact.updated", "contacts", "A contact changed.", ContactUpdated),
    EventType("contact.deleted", "contacts", "A contact was deleted.", ContactData),
    EventType(
        "suppression.added",
        "contacts",
        "An address was suppressed: it gets no more mail.",
        SuppressionData,
    ),
    EventType(
        "suppression.removed",
        "contacts",
        "The suppression of an address was removed.",
        SuppressionData,
    ),
]
