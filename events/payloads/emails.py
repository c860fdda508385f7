"""Payloads of email.*: the email, plus the provider's object under its own name.

Provider objects follow the Amazon SES developer guide, "Contents of event data that Amazon SES
publishes to Amazon SNS".
"""

from pydantic import BaseModel, Field

from events.payloads.base import Absent, Id, Payload, ProviderObject, Time


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
