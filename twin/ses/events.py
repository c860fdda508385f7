"""SES events as JSON (AWS SES guide, "Examples of event data that Amazon SES publishes to SNS")."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from twin.aws import ACCOUNT_ID, arn, iso_time
from twin.outcomes import Outcome, Step
from twin.ses.addresses import domain_of, split_mailboxes
from twin.ses.mime import Message, decoded

SUBJECT = "Amazon SES Email Event Notification"

_MAX_HEADER_BYTES = 10 * 1024
_MAX_RETRY_SECONDS = 14 * 3600
_REPORTING_MTA = "a8-70.smtp-out.amazonses.com"
_OUTGOING_IP = "54.240.8.70"
# The first group of a message id tells the region.
_ID_PREFIXES = {"us-east-1": "0100", "us-west-2": "0101", "eu-west-1": "0102"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An accepted message, as its events tell of it. `at` is Unix seconds."""

    id: str
    region: str
    at: float
    source: str
    destination: list[str]
    recipients: list[str]
    configuration_set: str
    tags: dict[str, str]
    operation: str
    source_ip: str
    message: Message
    # Those on the account's suppression list, with the reasons.
    suppressed: dict[str, str] = field(default_factory=dict)


def new_message_id(region: str, now: float) -> str:
    prefix = _ID_PREFIXES.get(region, "0109")
    return f"{prefix}{int(now * 1000):012x}-{uuid4()}-000000"


def event_json(sent: Sent, mail: dict[str, Any], step: Step) -> str:
    """The SNS message of one event; SES ends it with a newline. `mail` is of `describe_mail`."""
    name, key, describe = _EVENTS[step.event_type]
    if step.event_type == "DELIVERY":
        mail = mail | {"tags": mail["tags"] | {"ses:outgoing-ip": [_OUTGOING_IP]}}
    event = {"eventType": name, "mail": mail, key: describe(sent, step)}
    return orjson.dumps(event).decode() + "\n"


def describe_mail(sent: Sent) -> dict[str, Any]:
    """The object `mail`, which all events of a message have in common."""
    headers, truncated = _headers(sent.message)
    return {
        "timestamp": iso_time(sent.at),
        "source": sent.source,
        "sourceArn": arn("ses", sent.region, f"identity/{domain_of(_bare(sent.source))}"),
        "sendingAccountId": ACCOUNT_ID,
        "messageId": sent.id,
        "destination": sent.destination,
        "headersTruncated": truncated,
        "headers": headers,
        "commonHeaders": _common_headers(sent),
        "tags": _tags(sent),
    }


def _headers(message: Message) -> tuple[list[dict[str, str]], bool]:
    """Whole headers up to 10 KB, and whether some were left out."""
    shown: list[dict[str, str]] = []
    size = 0
    for header in message.headers:
        size += len(header.lines)
        if size > _MAX_HEADER_BYTES:
            return shown, True
        if header.name.lower() != "bcc":
            shown.append({"name": header.name, "value": header.value})
    return shown, False


def _common_headers(sent: Sent) -> dict[str, Any]:
    message = sent.message
    common: dict[str, Any] = {}
    for key, name in (("from", "From"), ("replyTo", "Reply-To"), ("to", "To"), ("cc", "Cc")):
        value = message.get(name)
        if value is not None:
            common[key] = split_mailboxes(value)
    date = message.get("Date")
    if date is not None:
        common["date"] = date
    common["messageId"] = sent.id
    common["subject"] = decoded(message.get("Subject") or "")
    return common


def _tags(sent: Sent) -> dict[str, list[str]]:
    tags = {
        "ses:operation": [sent.operation],
        "ses:configuration-set": [sent.configuration_set],
        "ses:source-ip": [sent.source_ip],
        "ses:from-domain": [domain_of(_bare(sent.source))],
        "ses:caller-identity": ["twin"],
    }
    return tags | {name: [value] for name, value in sent.tags.items()}


def _delivery(sent: Sent, step: Step) -> dict[str, Any]:
    return {
        "timestamp": iso_time(sent.at + step.after),
        "processingTimeMillis": int(step.after * 1000),
        "recipients": step.recipients,
        "smtpResponse": "250 2.6.0 Message received",
        "reportingMTA": _REPORTING_MTA,
    }


def _bounce(sent: Sent, step: Step) -> dict[str, Any]:
    kind, subtype, result = _BOUNCES[step.outcome]
    recipients = [{"emailAddress": address, **result} for address in step.recipients]
    suppressed = step.outcome in (Outcome.SUPPRESSED, Outcome.ON_ACCOUNT_LIST_FOR_BOUNCE)
    return {
        "feedbackId": new_message_id(sent.region, sent.at + step.after),
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": recipients,
        "timestamp": iso_time(sent.at + step.after),
        "reportingMTA": "dns; amazonses.com" if suppressed else f"dns; {_REPORTING_MTA}",
    }


def _complaint(sent: Sent, step: Step) -> dict[str, Any]:
    moment = iso_time(sent.at + step.after)
    complained = [{"emailAddress": address} for address in step.recipients]
    if step.outcome is Outcome.ON_ACCOUNT_LIST_FOR_COMPLAINT:
        return {
            "feedbackId": new_message_id(sent.region, sent.at + step.after),
            "complaintSubType": "OnAccountSuppressionList",
            "complainedRecipients": complained,
            "timestamp": moment,
        }
    return {
        "feedbackId": new_message_id(sent.region, sent.at + step.after),
        "complaintSubType": None,
        "complainedRecipients": complained,
        "timestamp": moment,
        "userAgent": "Amazon SES Mailbox Simulator",
        "complaintFeedbackType": "abuse",
        "arrivalDate": moment,
    }


def _delay(sent: Sent, step: Step) -> dict[str, Any]:
    result = {
        "status": "4.4.1",
        "diagnosticCode": "smtp; 421 4.4.1 Unable to connect to remote host",
    }
    return {
        "timestamp": iso_time(sent.at + step.after),
        "delayType": "TransientCommunicationFailure",
        "expirationTime": iso_time(sent.at + _MAX_RETRY_SECONDS),
        "delayedRecipients": [{"emailAddress": each, **result} for each in step.recipients],
        "reportingMTA": _REPORTING_MTA,
    }


def _failure(sent: Sent, step: Step) -> dict[str, Any]:
    return {
        "templateName": "twin",
        "errorMessage": "Attribute 'name' is not present in the rendering data.",
    }


def _bare(mailbox: str) -> str:
    return mailbox.rpartition("<")[2].rstrip("> ")


_USER_UNKNOWN = {
    "action": "failed",
    "status": "5.1.1",
    "diagnosticCode": "smtp; 550 5.1.1 user unknown",
}
_BOUNCES: dict[Outcome, tuple[str, str, dict[str, str]]] = {
    Outcome.BOUNCED: ("Permanent", "General", _USER_UNKNOWN),
    Outcome.SOFT_BOUNCED: (
        "Transient",
        "MailboxFull",
        {
            "action": "failed",
            "status": "5.2.2",
            "diagnosticCode": "smtp; 552 5.2.2 mailbox is full",
        },
    ),
    # An auto-reply is reported as a bounce with nothing but the address.
    Outcome.OUT_OF_OFFICE: ("Transient", "General", {}),
    Outcome.ON_ACCOUNT_LIST_FOR_BOUNCE: (
        "Permanent",
        "OnAccountSuppressionList",
        {
            "action": "failed",
            "status": "5.1.1",
            "diagnosticCode": (
                "Amazon SES did not send the message to this address because it is on the "
                "suppression list for your account."
            ),
        },
    ),
    Outcome.SUPPRESSED: (
        "Permanent",
        "Suppressed",
        {
            "action": "failed",
            "status": "5.1.1",
            "diagnosticCode": (
                "Amazon SES has suppressed sending to this address because it has a recent "
                "history of bouncing as an invalid address."
            ),
        },
    ),
}
_EVENTS: dict[str, tuple[str, str, Callable[[Sent, Step], dict[str, Any]]]] = {
    "SEND": ("Send", "send", lambda sent, step: {}),
    "DELIVERY": ("Delivery", "delivery", _delivery),
    "BOUNCE": ("Bounce", "bounce", _bounce),
    "COMPLAINT": ("Complaint", "complaint", _complaint),
    "REJECT": ("Reject", "reject", lambda sent, step: {"reason": "Bad content"}),
    "DELIVERY_DELAY": ("DeliveryDelay", "deliveryDelay", _delay),
    "RENDERING_FAILURE": ("Rendering Failure", "failure", _failure),
}
