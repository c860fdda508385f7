"""message.received, inbox.* and pod.*: about mailboxes, and in an envelope of their own."""

from pydantic import BaseModel, Field

from events.payloads.base import Id, Payload, Time


class MessageAttachment(BaseModel):
    id: Id = Field(description="The attachment's id.")
    filename: str = Field(description="Its name, safe to use.")
    content_type: str = Field(description="Its media type, as the sender named it.")
    size_bytes: int = Field(description="Its size when decoded.")
    url: str = Field(description="Where it can be fetched for 15 minutes.")
    parsed_text: str | None = Field(description="Its text, if one could be taken from it.")
    extraction_method: str | None = Field(
        description="How the text was taken: `pdf`, `office`, `csv`, `text` or `ocr`; or why there"
        " is none: `unsupported`, `pdf_error` or `skipped_too_large`; null when it isn't there yet."
    )


class Message(BaseModel):
    id: Id = Field(description="The message's id.")
    rfc_message_id: str | None = Field(description="Its Message-ID header, or null without one.")
    from_: str = Field(alias="from", description="The sender, as the header has it.")
    to: str = Field(description="The address of the inbox that got it.")
    cc: list[str] = Field(description="The recipients of copies.")
    subject: str = Field(description="The subject.")
    body_text: str = Field(description="The whole text.")
    extracted_text: str = Field(
        description="What is new in it: without quoted history and signature."
    )
    attachments: list[MessageAttachment] = Field(description="The attachments.")
    received_at: Time = Field(description="When it came in.")
    verdict: str = Field(description="What the checks for spam and viruses made of it.")
    auto_replyable: bool = Field(
        description="Whether software may answer: not to lists, bounces and automatic mail."
    )


class MessageReceived(Payload):
    """A message of a mailbox."""

    inbox_id: Id = Field(description="The inbox that got it.")
    thread_id: Id = Field(description="The thread that it belongs to.")
    message: Message = Field(description="The message itself.")


class _Standing(Payload):
    inbox_id: Id | None = Field(description="The inbox; null for pod.*.")
    inbox_address: str | None = Field(description="The inbox's address; null for pod.*.")
    pod_id: Id = Field(description="The pod, or the one that the inbox is in.")


class Suspended(_Standing):
    """Who may not send any more, and why."""

    reason: str = Field(
        description="`high_bounce_rate`, `high_complaint_rate`, `abuse`, `pod_degraded`,"
        " `manual_review` or `other`."
    )


class Reactivated(_Standing):
    """Who may send again."""

    reason: None = Field(description="Always null.")
