"""The events of mailboxes, which have the mailbox envelope. No app emits them yet."""

from pydantic import BaseModel, Field

from events.catalogue import EventType
from events.envelopes import Envelope
from events.payloads import Id, Payload, Time


class MessageAttachment(BaseModel):
    id: Id = Field(description="The attachment id.")
    filename: str = Field(description="The sanitized file name.")
    content_type: str = Field(description="The media type, as declared by the sender.")
    size_bytes: int = Field(description="The decoded size in bytes.")
    url: str = Field(description="A download URL, valid for 15 minutes.")
    parsed_text: str | None = Field(description="The extracted text, or null.")
    extraction_method: str | None = Field(
        description="How the text was extracted: `pdf`, `office`, `csv`, `text` or `ocr`; or why"
        " there is none: `unsupported`, `pdf_error` or `skipped_too_large`; null while pending."
    )


class Message(BaseModel):
    id: Id = Field(description="The message id.")
    rfc_message_id: str | None = Field(description="The Message-ID header, or null.")
    from_: str = Field(alias="from", description="The sender, from the From header.")
    to: str = Field(description="The address of the receiving inbox.")
    cc: list[str] = Field(description="The Cc recipients.")
    subject: str = Field(description="The subject.")
    body_text: str = Field(description="The full text body.")
    extracted_text: str = Field(
        description="The new part of the text, without quoted history and signature."
    )
    attachments: list[MessageAttachment] = Field(description="The attachments.")
    received_at: Time = Field(description="When the message was received.")
    verdict: str = Field(description="The result of the spam and virus checks.")
    auto_replyable: bool = Field(
        description="Whether software may reply: not to mailing lists, bounces and automatic mail."
    )


class MessageReceived(Payload):
    """A message that a mailbox received."""

    inbox_id: Id = Field(description="The id of the receiving inbox.")
    thread_id: Id = Field(description="The id of the thread to which the message belongs.")
    message: Message = Field(description="The message.")


class _SendingStatus(Payload):
    inbox_id: Id | None = Field(description="The inbox id; null for pod.*.")
    inbox_address: str | None = Field(description="The inbox's address; null for pod.*.")
    pod_id: Id = Field(description="The pod id, or that of the inbox's pod.")


class Suspended(_SendingStatus):
    """A suspended inbox or pod, and the reason."""

    reason: str = Field(
        description="The reason: `high_bounce_rate`, `high_complaint_rate`, `abuse`,"
        " `pod_degraded`, `manual_review` or `other`."
    )


class Reactivated(_SendingStatus):
    """A reactivated inbox or pod."""

    reason: None = Field(description="Always null.")


EVENT_TYPES = [
    EventType(
        "message.received",
        "inboxes",
        "A mailbox received a message.",
        MessageReceived,
        Envelope.MAILBOX,
    ),
    EventType(
        "inbox.suspended",
        "inboxes",
        "A mailbox was suspended: it can no longer send.",
        Suspended,
        Envelope.MAILBOX,
    ),
    EventType(
        "inbox.reactivated",
        "inboxes",
        "A mailbox was reactivated: it can send again.",
        Reactivated,
        Envelope.MAILBOX,
    ),
    EventType(
        "pod.suspended",
        "inboxes",
        "A pod was suspended: its mailboxes can no longer send.",
        Suspended,
        Envelope.MAILBOX,
    ),
    EventType(
        "pod.reactivated",
        "inboxes",
        "A pod was reactivated: its mailboxes can send again.",
        Reactivated,
        Envelope.MAILBOX,
    ),
]
