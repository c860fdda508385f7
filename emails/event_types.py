"""The events about email, and their `data`: the email, plus the provider's object by its own name.

Provider objects follow the Amazon SES developer guide, "Contents of event data that Amazon SES
publishes to Amazon SNS".
"""

from typing import Any

from pydantic import BaseModel, Field

from core.times import iso
from emails.models import Email
from events.catalogue import EventType
from events.payloads import Absent, Id, Payload, ProviderObject, Time


class EmailData(Payload):
    """The email as it was accepted."""

    email_id: Id = Field(description="The email id, as returned by `POST /emails`.")
    message_id: str = Field(
        description="The Message-ID header: ours, or the provider's once it has accepted the email."
    )
    created_at: Time = Field(description="When the email was accepted.")
    from_: str = Field(alias="from", description="The sender, as given in the request.")
    to: list[str] = Field(description="The To recipients, as given in the request.")
    cc: list[str] | Absent = Field(default=None, description="The Cc recipients, if any.")
    bcc: list[str] | Absent = Field(default=None, description="The Bcc recipients, if any.")
    subject: str = Field(description="The subject.")
    tags: dict[str, str] = Field(description="The tags of the email.")
    recipient: str | Absent = Field(
        default=None,
        description="The bare address of the affected recipient; absent if there are several.",
    )


def build_event_data(email: Email, *, recipient: str = "", **more: Any) -> dict[str, Any]:
    """A complete snapshot of the email, plus `more`: the sub-objects of the event type."""
    data: dict[str, Any] = {
        "email_id": str(email.pk),
        "message_id": email.message_id,
        "created_at": iso(email.created_at),
        "from": email.sender,
        "to": email.to,
        "subject": email.subject,
        "tags": email.tags,
    }
    if email.cc:
        data["cc"] = email.cc
    if email.bcc:
        data["bcc"] = email.bcc
    if recipient:
        data["recipient"] = recipient
    return data | more


class EmailScheduled(EmailData):
    scheduled_at: Time = Field(description="When the email will be sent.")


class EmailSent(EmailData):
    send: ProviderObject | Absent = Field(
        default=None,
        description="The provider's `send` object, if its event confirmed the send first.",
    )


class Delivery(ProviderObject):
    recipients: list[str] = Field(
        description="The recipients whose mail server accepted the email."
    )
    timestamp: str | Absent = Field(default=None, description="When the mail server accepted it.")
    processingTimeMillis: int | Absent = Field(  # noqa: N815 (the provider's name)
        default=None,
        description="Milliseconds from the provider's acceptance to the mail server's.",
    )
    smtpResponse: str | Absent = Field(  # noqa: N815
        default=None, description="The SMTP response of the mail server."
    )
    reportingMTA: str | Absent = Field(  # noqa: N815
        default=None, description="The provider's host that delivered it."
    )
    remoteMtaIp: str | Absent = Field(  # noqa: N815
        default=None, description="The IP address of the recipient's mail server."
    )


class EmailDelivered(EmailData):
    delivery: Delivery = Field(description="The provider's `delivery` object.")


class DelayedRecipient(ProviderObject):
    emailAddress: str = Field(description="The recipient's address.")  # noqa: N815
    status: str | Absent = Field(default=None, description="The SMTP status code.")
    diagnosticCode: str | Absent = Field(  # noqa: N815
        default=None, description="The SMTP response of the mail server."
    )


class DeliveryDelay(ProviderObject):
    delayedRecipients: list[DelayedRecipient] = Field(  # noqa: N815
        description="The recipients whose delivery is delayed."
    )
    timestamp: str | Absent = Field(default=None, description="When the delay occurred.")
    delayType: str | Absent = Field(  # noqa: N815
        default=None, description="The kind of delay, such as `MailboxFull`."
    )
    expirationTime: str | Absent = Field(  # noqa: N815
        default=None, description="When the provider will stop retrying."
    )
    reportingMTA: str | Absent = Field(  # noqa: N815
        default=None, description="The provider's host that retries."
    )


class EmailDeliveryDelayed(EmailData):
    deliveryDelay: DeliveryDelay = Field(  # noqa: N815
        description="The provider's `deliveryDelay` object."
    )


class Bounce(BaseModel):
    type: str = Field(description="The bounce type: `Permanent`, `Transient` or `Undetermined`.")
    subType: str = Field(description="The bounce subtype, such as `MailboxFull`.")  # noqa: N815
    message: str = Field(
        description="The SMTP response of the mail server, or else the type of bounce."
    )
    diagnosticCode: str | Absent = Field(  # noqa: N815
        default=None, description="The SMTP response of the mail server, if known."
    )


class EmailBounced(EmailData):
    bounce: Bounce = Field(description="The bounce of this recipient.")


class ComplainedRecipient(ProviderObject):
    emailAddress: str = Field(description="The recipient's address.")  # noqa: N815


class Complaint(ProviderObject):
    complainedRecipients: list[ComplainedRecipient] = Field(  # noqa: N815
        description="The recipients who may have complained."
    )
    timestamp: str | Absent = Field(
        default=None, description="When the provider sent the notification."
    )
    feedbackId: str | Absent = Field(  # noqa: N815
        default=None, description="The provider's id of the complaint."
    )
    complaintSubType: str | None = Field(  # noqa: N815
        default=None, description="`OnAccountSuppressionList`, or null."
    )
    complaintFeedbackType: str | Absent = Field(  # noqa: N815
        default=None, description="The feedback type, such as `abuse`."
    )
    userAgent: str | Absent = Field(  # noqa: N815
        default=None, description="The user agent that reported the complaint."
    )
    arrivalDate: str | Absent = Field(  # noqa: N815
        default=None, description="When the provider received the report."
    )


class EmailComplained(EmailData):
    complaint: Complaint = Field(description="The provider's `complaint` object.")


class Hit(ProviderObject):
    """One open or click, by a person or a machine."""

    machine: bool = Field(
        description="Whether it came from a scanner or proxy rather than a person."
    )
    verdict: str | Absent = Field(
        default=None,
        description="`human`, `machine` or `unknown`; only with OpenSend's own tracking.",
    )
    reasons: list[str] | Absent = Field(
        default=None,
        description="Why it was classified as a machine, such as `scanner`; see tracking.md.",
    )
    timestamp: str | Absent = Field(default=None, description="When it happened.")
    ipAddress: str | Absent = Field(  # noqa: N815
        default=None, description="The IP address; only with the provider's tracking."
    )
    userAgent: str | Absent = Field(default=None, description="The user agent.")  # noqa: N815


class Click(Hit):
    link: str | Absent = Field(default=None, description="The URL that was clicked.")
    linkTags: dict[str, list[str]] | None = Field(  # noqa: N815
        default=None, description="The tags of the link, or null."
    )


class EmailOpened(EmailData):
    open: Hit = Field(description="The open and its classification.")


class EmailClicked(EmailData):
    click: Click = Field(description="The click and its classification.")


class Reason(BaseModel):
    reason: str = Field(description="A human-readable reason.")


class EmailDelayed(EmailData):
    delayed: Reason = Field(description="Why sending is delayed; it is retried.")


class Reject(ProviderObject):
    reason: str | Absent = Field(default=None, description="The provider's reason.")


class RenderingFailure(ProviderObject):
    errorMessage: str | Absent = Field(default=None, description="The error message.")  # noqa: N815
    templateName: str | Absent = Field(  # noqa: N815
        default=None, description="The name of the template."
    )


class EmailFailed(EmailData):
    failed: Reason = Field(description="Why the email was not sent.")
    reject: Reject | Absent = Field(
        default=None, description="The provider's `reject` object, if it rejected the content."
    )
    failure: RenderingFailure | Absent = Field(
        default=None,
        description="The provider's `failure` object, if a template could not be rendered.",
    )


class Suppressed(BaseModel):
    type: str = Field(description="The origin of the suppression; see suppression.added.")
    message: str = Field(description="A human-readable reason.")


class EmailSuppressed(EmailData):
    suppressed: Suppressed = Field(description="Why this recipient was dropped.")


EVENT_TYPES = [
    EventType(
        "email.scheduled",
        "emails",
        "The email was accepted and is scheduled to be sent later.",
        EmailScheduled,
    ),
    EventType("email.sent", "emails", "The provider accepted the email for delivery.", EmailSent),
    EventType(
        "email.delivered",
        "ingest",
        "The recipient's mail server accepted the email.",
        EmailDelivered,
    ),
    EventType(
        "email.delivery_delayed",
        "ingest",
        "Delivery to the recipient's mail server is delayed; the provider retries.",
        EmailDeliveryDelayed,
    ),
    EventType(
        "email.bounced",
        "ingest",
        "The email bounced: it could not be delivered to the recipient.",
        EmailBounced,
    ),
    EventType(
        "email.complained", "ingest", "The recipient marked the email as spam.", EmailComplained
    ),
    EventType("email.opened", "emails", "The email was opened.", EmailOpened),
    EventType("email.clicked", "emails", "A link in the email was clicked.", EmailClicked),
    EventType(
        "email.delayed",
        "emails",
        "The provider could not accept the email yet; sending is retried.",
        EmailDelayed,
    ),
    EventType(
        "email.failed",
        "emails",
        "The email could not be sent and will not be retried.",
        EmailFailed,
    ),
    EventType(
        "email.suppressed",
        "emails",
        "A recipient was dropped because the address is on the suppression list.",
        EmailSuppressed,
    ),
]
