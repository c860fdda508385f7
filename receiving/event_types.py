"""The event that receiving publishes: its payload."""

from pydantic import BaseModel, Field

from events.catalogue import EventType
from events.payloads import Id, Payload, Time


class Verdicts(BaseModel):
    spam: str = Field(description="The provider's spam verdict, such as `pass` or `fail`.")
    virus: str = Field(description="The provider's virus verdict.")
    spf: str = Field(description="The provider's SPF verdict.")
    dkim: str = Field(description="The provider's DKIM verdict.")
    dmarc: str = Field(description="The provider's DMARC verdict.")


class ReceivedAttachment(BaseModel):
    id: Id = Field(description="The attachment id.")
    filename: str | None = Field(description="The sanitized file name, or null.")
    content_type: str = Field(description="The media type, as declared by the sender.")
    content_disposition: str | None = Field(description="`attachment`, `inline`, or null.")
    content_id: str | None = Field(description="The Content-ID that the HTML refers to, or null.")
    size: int = Field(description="The decoded size in bytes.")


class EmailReceived(Payload):
    """A received email without its bodies: fetch them by id."""

    email_id: Id = Field(description="The id of the received email.")
    created_at: Time = Field(description="When the email was received.")
    from_: str = Field(alias="from", description="The sender, from the From header.")
    to: list[str] = Field(description="The recipients in the To header.")
    cc: list[str] = Field(description="The recipients in the Cc header.")
    bcc: list[str] = Field(description="The recipients in the Bcc header.")
    received_for: list[str] = Field(description="Your addresses that received the email.")
    message_id: str | None = Field(description="The Message-ID header, or null.")
    subject: str = Field(description="The subject.")
    attachments: list[ReceivedAttachment] = Field(description="The attachments.")
    thread_id: Id | None = Field(
        description="The id of the thread to which the email belongs, or null."
    )
    reply_match_status: str = Field(
        description="`matched` if it replies to one of your emails, else `unmatched`."
    )
    reply_to_email_id: Id | None = Field(
        description="The id of the email to which it replies, or null."
    )
    verdicts: Verdicts = Field(description="The results of the provider's checks.")


EVENT_TYPES = [
    EventType("email.received", "receiving", "An email was received.", EmailReceived),
]
