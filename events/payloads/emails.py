"""email.*: the email, and the provider's sub-object under its own name.

The provider's objects are as in the Amazon SES developer guide, "Contents of event data that
Amazon SES publishes to Amazon SNS".
"""

from pydantic import BaseModel, Field

from events.payloads.base import Absent, Id, Payload, Provider, Time


class EmailData(Payload):
    """An email as it was accepted."""

    email_id: Id = Field(description="The email's id, as `POST /emails` answered it.")
    message_id: str = Field(
        description="The Message-ID header: the one we gave, and the provider's once it took it."
    )
    created_at: Time = Field(description="When the email was accepted.")
    from_: str = Field(alias="from", description="The sender, as it was given.")
    to: list[str] = Field(description="All recipients, as they were given.")
    cc: list[str] | Absent = Field(
        default=None, description="The recipients of copies, if there are any."
    )
    bcc: list[str] | Absent = Field(
        default=None, description="The hidden recipients, if there are any."
    )
    subject: str = Field(description="The subject.")
    tags: dict[str, str] = Field(description="The tags that the email was given.")
    recipient: str | Absent = Field(
        default=None,
        description="The bare address that this is about; left out when it is about several.",
    )


class EmailScheduled(EmailData):
    scheduled_at: Time = Field(description="When it will be sent.")


class EmailSent(EmailData):
    send: Provider | Absent = Field(
        default=None, description="The provider's `send` object, if it told first."
    )


class Delivery(Provider):
    recipients: list[str] = Field(description="Whose server took it.")
    timestamp: str | Absent = Field(default=None, description="When the server took it.")
    processingTimeMillis: int | Absent = Field(  # noqa: N815 (the provider's name)
        default=None, description="The time between the provider's taking it and the server's."
    )
    smtpResponse: str | Absent = Field(  # noqa: N815
        default=None, description="What the server answered."
    )
    reportingMTA: str | Absent = Field(  # noqa: N815
        default=None, description="The provider's host that handed it over."
    )
    remoteMtaIp: str | Absent = Field(  # noqa: N815
        default=None, description="The address of the recipient's server."
    )


class EmailDelivered(EmailData):
    delivery: Delivery = Field(description="The provider's `delivery` object.")


class DelayedRecipient(Provider):
    emailAddress: str = Field(description="The address.")  # noqa: N815
    status: str | Absent = Field(default=None, description="The SMTP status code.")
    diagnosticCode: str | Absent = Field(  # noqa: N815
        default=None, description="What the server answered."
    )


class DeliveryDelay(Provider):
    delayedRecipients: list[DelayedRecipient] = Field(  # noqa: N815
        description="Whose mail waits."
    )
    timestamp: str | Absent = Field(default=None, description="When the provider noticed.")
    delayType: str | Absent = Field(  # noqa: N815
        default=None, description="The kind of delay, such as `MailboxFull`."
    )
    expirationTime: str | Absent = Field(  # noqa: N815
        default=None, description="When the provider will stop trying."
    )
    reportingMTA: str | Absent = Field(  # noqa: N815
        default=None, description="The provider's host that tries."
    )


class EmailDeliveryDelayed(EmailData):
    deliveryDelay: DeliveryDelay = Field(  # noqa: N815
        description="The provider's `deliveryDelay` object."
    )


class Bounce(BaseModel):
    type: str = Field(description="`Permanent`, `Transient` or `Undetermined`.")
    subType: str = Field(description="More of the kind, such as `MailboxFull`.")  # noqa: N815
    message: str = Field(description="The server's answer, or else the kind of bounce.")
    diagnosticCode: str | Absent = Field(  # noqa: N815
        default=None, description="What the server answered, if it is known."
    )


class EmailBounced(EmailData):
    bounce: Bounce = Field(description="What the provider says of this recipient's bounce.")


class ComplainedRecipient(Provider):
    emailAddress: str = Field(description="The address.")  # noqa: N815


class Complaint(Provider):
    complainedRecipients: list[ComplainedRecipient] = Field(  # noqa: N815
        description="Who may have complained."
    )
    timestamp: str | Absent = Field(default=None, description="When the provider told.")
    feedbackId: str | Absent = Field(  # noqa: N815
        default=None, description="The provider's id of the complaint."
    )
    complaintSubType: str | None = Field(  # noqa: N815
        default=None, description="`OnAccountSuppressionList`, or null."
    )
    complaintFeedbackType: str | Absent = Field(  # noqa: N815
        default=None, description="The kind of complaint, such as `abuse`."
    )
    userAgent: str | Absent = Field(  # noqa: N815
        default=None, description="The program that reported it."
    )
    arrivalDate: str | Absent = Field(  # noqa: N815
        default=None, description="When the report came to the provider."
    )


class EmailComplained(EmailData):
    complaint: Complaint = Field(description="The provider's `complaint` object.")


class Hit(Provider):
    """Somebody, or a machine, came by."""

    machine: bool = Field(description="Whether it looks like a scanner or proxy, and no person.")
    verdict: str | Absent = Field(
        default=None, description="`human`, `machine` or `unknown`, where we did the tracking."
    )
    reasons: list[str] | Absent = Field(
        default=None, description="What speaks for a machine, such as `scanner`; see tracking.md."
    )
    timestamp: str | Absent = Field(default=None, description="When it was.")
    ipAddress: str | Absent = Field(  # noqa: N815
        default=None, description="Where it came from, where the provider did the tracking."
    )
    userAgent: str | Absent = Field(default=None, description="With what program.")  # noqa: N815


class Click(Hit):
    link: str | Absent = Field(default=None, description="The URL that was followed.")
    linkTags: dict[str, list[str]] | None = Field(  # noqa: N815
        default=None, description="The tags of the link, or null."
    )


class EmailOpened(EmailData):
    open: Hit = Field(description="The open, in the provider's words, and whose it was.")


class EmailClicked(EmailData):
    click: Click = Field(description="The click, in the provider's words, and whose it was.")


class Reason(BaseModel):
    reason: str = Field(description="Why, for people.")


class EmailDelayed(EmailData):
    delayed: Reason = Field(description="What keeps the email; it is tried again.")


class Reject(Provider):
    reason: str | Absent = Field(default=None, description="Why, as the provider words it.")


class RenderingFailure(Provider):
    errorMessage: str | Absent = Field(default=None, description="What is wrong.")  # noqa: N815
    templateName: str | Absent = Field(  # noqa: N815
        default=None, description="The template that is wrong."
    )


class EmailFailed(EmailData):
    failed: Reason = Field(description="Why the email is not sent.")
    reject: Reject | Absent = Field(
        default=None, description="The provider's `reject` object, if it rejected the content."
    )
    failure: RenderingFailure | Absent = Field(
        default=None, description="The provider's `failure` object, if a template didn't render."
    )


class Suppressed(BaseModel):
    type: str = Field(description="Why the address is suppressed; see suppression.added.")
    message: str = Field(description="The same, for people.")


class EmailSuppressed(EmailData):
    suppressed: Suppressed = Field(description="Why this recipient was dropped.")


class Verdicts(BaseModel):
    spam: str = Field(description="The provider's verdict, such as `pass` or `fail`.")
    virus: str = Field(description="The provider's verdict.")
    spf: str = Field(description="The provider's verdict.")
    dkim: str = Field(description="The provider's verdict.")
    dmarc: str = Field(description="The provider's verdict.")


class ReceivedAttachment(BaseModel):
    id: Id = Field(description="The attachment's id.")
    filename: str | None = Field(description="Its name, safe to use, or null without one.")
    content_type: str = Field(description="Its media type, as the sender named it.")
    content_disposition: str | None = Field(description="`attachment`, `inline`, or null.")
    content_id: str | None = Field(description="The id by which HTML refers to it, or null.")
    size: int = Field(description="Its size in bytes when decoded.")


class EmailReceived(Payload):
    """An email that came in, without its texts: fetch them by the id."""

    email_id: Id = Field(description="The received email's id.")
    created_at: Time = Field(description="When it came in.")
    from_: str = Field(alias="from", description="The sender.")
    to: list[str] = Field(description="The recipients that its header names.")
    cc: list[str] = Field(description="The recipients of copies that its header names.")
    bcc: list[str] = Field(description="The hidden recipients that its header names.")
    received_for: list[str] = Field(description="The addresses of yours that it was sent to.")
    message_id: str | None = Field(description="Its Message-ID header, or null without one.")
    subject: str = Field(description="The subject.")
    attachments: list[ReceivedAttachment] = Field(description="The attachments.")
    thread_id: Id | None = Field(description="The thread that it belongs to, or null.")
    reply_match_status: str = Field(
        description="`matched` when it answers an email of yours, else `unmatched`."
    )
    reply_to_email_id: Id | None = Field(description="The email that it answers, or null.")
    verdicts: Verdicts = Field(description="What the provider's checks made of it.")
