"""The JSON of emails, their events and their attachments."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from core.db.json_values import storable
from core.times import iso
from emails.content.attachments import download_url
from emails.content.mime import disposition
from emails.models import Email, EmailAttachment, EmailEvent, EmailRecipient

# `last_event` as the Resend clients spell it, where it differs from our status.
_LAST_EVENT = {
    "soft_bounced": "bounced",
    "cancelled": "canceled",
    "held": "queued",
    "sending": "queued",
    "unknown": "queued",
}
_UNSENT = frozenset({"scheduled", "held", "sending", "unknown"})


class EmailAccepted(BaseModel):
    id: str


class EmailChanged(BaseModel):
    object: Literal["email"] = "email"
    id: str


class BatchError(BaseModel):
    index: int
    message: str


class BatchAccepted(BaseModel):
    data: list[EmailAccepted]
    errors: list[BatchError] | None = Field(
        None,
        description="Only with permissive validation.",
        exclude_if=lambda errors: errors is None,
    )


class RecipientOut(BaseModel):
    address: str
    kind: str
    status: str
    status_at: str | None
    detail: str | None


class EmailListed(BaseModel):
    id: str
    object: Literal["email"] = "email"
    sender: str = Field(serialization_alias="from")
    to: list[str]
    cc: list[str]
    bcc: list[str]
    reply_to: list[str]
    subject: str
    status: str
    last_event: str
    message_id: str
    created_at: str
    scheduled_at: str | None


class EmailOut(EmailListed):
    html: str | None
    text: str | None
    tags: list[dict[str, str]]
    headers: dict[str, str]
    last_error: str | None
    provider_message_id: str | None
    open_tracking: bool
    click_tracking: bool
    opens: int
    human_opens: int
    clicks: int
    human_clicks: int
    content_purged_at: str | None = Field(
        description="When the texts, the headers and the attachments were purged; null before."
    )
    recipients: list[RecipientOut]


class EmailEventOut(BaseModel):
    object: Literal["email_event"] = "email_event"
    id: str
    type: str
    recipient: str | None
    occurred_at: str
    received_at: str
    data: dict[str, Any]


class AttachmentOut(BaseModel):
    """Anyone with `download_url` can download the file until `expires_at`."""

    object: Literal["attachment"] = "attachment"
    id: str
    filename: str
    content_type: str
    content_disposition: Literal["inline", "attachment"]
    content_id: str | None
    size: int
    download_url: str
    expires_at: str


def represent_listed(email: Email) -> EmailListed:
    return EmailListed(**_common(email))


def represent(email: Email) -> EmailOut:
    """One query, for the recipients."""
    return EmailOut(
        **_common(email),
        html=email.html or None,
        text=email.text or None,
        tags=[{"name": name, "value": value} for name, value in email.tags.items()],
        headers=email.headers,
        last_error=email.last_error or None,
        provider_message_id=email.provider_message_id or None,
        open_tracking=email.open_tracking,
        click_tracking=email.click_tracking,
        opens=email.opens,
        human_opens=email.human_opens,
        clicks=email.clicks,
        human_clicks=email.human_clicks,
        content_purged_at=iso(email.content_purged_at),
        recipients=[_recipient(each, email) for each in email.recipients.order_by("pk")],
    )


def represent_event(event: EmailEvent) -> EmailEventOut:
    return EmailEventOut(
        id=str(event.pk),
        type=event.type,
        recipient=event.recipient or None,
        occurred_at=iso(event.occurred_at),
        received_at=iso(event.received_at),
        data=details(event),
    )


def details(event: EmailEvent) -> dict[str, Any]:
    """The details of a fact, whatever JSON its row holds: one odd row must not hide the others."""
    payload: Any = storable(event.payload)
    return payload if isinstance(payload, dict) else {"value": payload}


def represent_attachment(row: EmailAttachment, *, expires_at: datetime) -> AttachmentOut:
    return AttachmentOut(
        id=str(row.pk),
        filename=row.filename,
        content_type=row.content_type,
        content_disposition=disposition(row),
        content_id=row.content_id or None,
        size=row.size,
        download_url=download_url(row, expires_at=expires_at),
        expires_at=iso(expires_at),
    )


def _common(email: Email) -> dict[str, Any]:
    return {
        "id": str(email.pk),
        "sender": email.sender,
        "to": email.to,
        "cc": email.cc,
        "bcc": email.bcc,
        "reply_to": email.reply_to,
        "subject": email.subject,
        "status": email.status,
        "last_event": _LAST_EVENT.get(email.status, email.status),
        "message_id": email.message_id,
        "created_at": iso(email.created_at),
        "scheduled_at": iso(email.scheduled_at),
    }


def _recipient(recipient: EmailRecipient, email: Email) -> RecipientOut:
    """A recipient without any fact so far shows the email's status."""
    has_no_fact = recipient.status == "queued" and email.status in _UNSENT
    return RecipientOut(
        address=recipient.address,
        kind=recipient.kind,
        status=email.status if has_no_fact else recipient.status,
        status_at=iso(recipient.status_at),
        detail=recipient.detail or None,
    )
