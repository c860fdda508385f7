"""contact.* and suppression.*"""

from pydantic import BaseModel, Field

from events.payloads.base import Id, Payload, Time


class ContactOut(BaseModel):
    id: Id = Field(description="The contact's id.")
    email: str = Field(description="The contact's address.")
    first_name: str | None = Field(description="The first name, or null.")
    last_name: str | None = Field(description="The last name, or null.")
    unsubscribed: bool = Field(description="Whether the contact wants no more mail at all.")
    created_at: Time = Field(description="When the contact was added.")


class ContactData(ContactOut, Payload):
    """A contact as it is now, or was last."""


class ContactUpdated(ContactData):
    changed_fields: list[str] = Field(description="The names of the fields that changed.")


class SuppressionOut(BaseModel):
    id: Id = Field(description="The suppression's id.")
    email: str = Field(description="The address, in lower case.")
    origin: str = Field(
        description="Why: `bounce`, `complaint`, `soft_bounces`, `manual` or `unsubscribed`."
    )
    source_id: Id | None = Field(description="The email that caused it, or null.")
    created_at: Time = Field(description="When what caused it happened.")


class SuppressionData(SuppressionOut, Payload):
    """An address and why it gets, or got, no mail."""
