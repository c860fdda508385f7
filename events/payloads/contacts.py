"""Payloads of contact.* and suppression.*."""

from pydantic import BaseModel, Field

from events.payloads.base import Id, Payload, Time


class ContactOut(BaseModel):
    id: Id = Field(description="The contact id.")
    email: str = Field(description="The contact's email address.")
    first_name: str | None = Field(description="The first name, or null.")
    last_name: str | None = Field(description="The last name, or null.")
    unsubscribed: bool = Field(description="Whether the contact has unsubscribed from all email.")
    created_at: Time = Field(description="When the contact was created.")


class ContactData(ContactOut, Payload):
    """The contact, or its last state if it was deleted."""


class ContactUpdated(ContactData):
    changed_fields: list[str] = Field(description="The names of the fields that changed.")


class SuppressionOut(BaseModel):
    id: Id = Field(description="The suppression id.")
    email: str = Field(description="The suppressed address, in lower case.")
    origin: str = Field(
        description="The reason: `bounce`, `complaint`, `soft_bounces`, `manual` or `unsubscribed`."
    )
    source_id: Id | None = Field(description="The id of the email that caused it, or null.")
    created_at: Time = Field(description="When the bounce, complaint or other cause happened.")


class SuppressionData(SuppressionOut, Payload):
    """The suppression, or its last state if it was removed."""
