"""Parses SES events (Amazon SES developer guide, "Event data that Amazon SES publishes").

Both formats are accepted: event publishing (`eventType`) and identity notifications
(`notificationType`). Unknown fields are ignored, because SES may add fields.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from contacts.models import Suppression
from emails.content.addresses import normalise, parse
from emails.content.mime import ID_HEADER
from emails.facts.record import EmailFact
from emails.models import Email
from emails.providers.ses import EMAIL_TAG, wire_message_id
from ingest.callbacks import Unparsable
from tracking.bot_detection import classify

Status = Email.Status

# A fact without what the facts of one event share: the email, its ids, when SES accepted it.
Draft = partial[EmailFact]


@dataclass(frozen=True, slots=True)
class SesEvent:
    """A parsed event. `email_id` is our own id, if the event has it.

    `accepted_at` is when SES accepted the email.
    """

    type: str
    message_id: str
    accepted_at: datetime | None
    email_id: UUID | None
    drafts: list[Draft]
    unsubscribed: list[str]

    def facts(self, email_id: UUID, *, region: str) -> list[EmailFact]:
        """The facts that the event states about this email, which was sent in `region`."""
        return [
            draft(
                email_id=email_id,
                provider_message_id=self.message_id,
                message_id=wire_message_id(self.message_id, region),
                accepted_at=self.accepted_at,
            )
            for draft in self.drafts
        ]


def parse_event(message: str) -> SesEvent:
    """Parse the `Message` of a notification; raises Unparsable."""
    try:
        event = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise Unparsable(f"Message is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise Unparsable("Message is not a JSON object")
    if "\\u0000" in message:
        event = _without_nul(event)
    mail = event.get("mail")
    if not isinstance(mail, dict) or not isinstance(mail.get("messageId"), str):
        raise Unparsable("Message has no mail.messageId")
    name = event.get("eventType") or event.get("notificationType")
    entry = _PARSERS.get(name) if isinstance(name, str) else None
    if entry is None:
        raise Unparsable(f"unknown event type {str(name)[:60]!r}")
    key, parse_body = entry
    body = event.get(key) or {}
    if not isinstance(body, dict):
        raise Unparsable(f"`{key}` is not an object")
    try:
        drafts = parse_body(body, _time(body.get("timestamp")) or _time(mail.get("timestamp")))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problem = f"`{key}` does not match the SES documentation: {error!r}"
        raise Unparsable(problem[:300]) from error
    return SesEvent(
        type=str(name),
        message_id=mail["messageId"],
        accepted_at=_time(mail.get("timestamp")),
        email_id=_email_id(mail),
        drafts=drafts,
        unsubscribed=_unsubscribed(mail, body) if key == "subscription" else [],
    )


def _email_id(mail: dict[str, Any]) -> UUID | None:
    """Our email id from the message tag, else from the header. Only we set these."""
    tags = mail.get("tags")
    tagged = tags.get(EMAIL_TAG) if isinstance(tags, dict) else None
    candidates = tagged if isinstance(tagged, list) else [tagged]
    headers = mail.get("headers")
    for header in headers if isinstance(headers, list) else []:
        if isinstance(header, dict) and str(header.get("name", "")).lower() == ID_HEADER.lower():
            candidates = [*candidates, header.get("value")]
    for candidate in candidates:
        try:
            return UUID(str(candidate).strip())
        except ValueError:
            continue
    return None


def _without_nul(value: Any) -> Any:
    """Replace U+0000: remote servers can put it into diagnostics, PostgreSQL cannot store it."""
    if isinstance(value, str):
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def _time(value: Any) -> datetime | None:
    """Parse ISO 8601, and `2018-10-08T14:05:45 +0000` as in SES identity notifications."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.replace(" +", "+"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _required(at: datetime | None) -> datetime:
    if at is None:
        raise ValueError("no timestamp")
    return at


def _address(value: Any) -> str:
    """The bare address of `Name <a@b>`, normalised like our recipients; as is if unparsable."""
    text = value.strip()
    if not text:
        raise ValueError("empty address")
    try:
        return parse(text).address
    except ValueError:
        return str(text[:320])


def _for_all_recipients(type_name: str, status: str, key: str) -> "Parser":
    def parse_body(body: dict[str, Any], at: datetime | None) -> list[Draft]:
        return [
            partial(
                EmailFact,
                type=type_name,
                occurred_at=_required(at),
                status=status,
                payload=body,
                event_data={key: body},
            )
        ]

    return parse_body


def _failed(key: str, reason: Callable[[dict[str, Any]], str]) -> "Parser":
    def parse_body(body: dict[str, Any], at: datetime | None) -> list[Draft]:
        text = reason(body)
        return [
            partial(
                EmailFact,
                type="failed",
                occurred_at=_required(at),
                payload=body,
                event_data={key: body, "failed": {"reason": text}},
                status=Status.FAILED,
                detail=text,
                key=key,
            )
        ]

    return parse_body


def _delivery(body: dict[str, Any], at: datetime | None) -> list[Draft]:
    return [
        partial(
            EmailFact,
            type="delivered",
            occurred_at=_required(at),
            payload=body,
            event_data={"delivery": body},
            recipient=_address(address),
            status=Status.DELIVERED,
            detail=str(body.get("smtpResponse", ""))[:1000],
            key=_required(at).isoformat(),
        )
        for address in body["recipients"]
    ]


def _delay(body: dict[str, Any], at: datetime | None) -> list[Draft]:
    return [
        partial(
            EmailFact,
            type="delivery_delayed",
            occurred_at=_required(at),
            payload=body,
            event_data={"deliveryDelay": body},
            recipient=_address(recipient["emailAddress"]),
            status=Status.DELIVERY_DELAYED,
            detail=str(recipient.get("diagnosticCode") or body.get("delayType", ""))[:1000],
            key=_required(at).isoformat(),
        )
        for recipient in body["delayedRecipients"]
    ]


def _bounce(body: dict[str, Any], at: datetime | None) -> list[Draft]:
    permanent = body.get("bounceType") == "Permanent"
    return [
        partial(
            EmailFact,
            type="bounced",
            occurred_at=_required(at),
            payload=body,
            event_data={"bounce": _bounce_data(body, recipient)},
            recipient=_address(recipient["emailAddress"]),
            status=Status.BOUNCED if permanent else Status.SOFT_BOUNCED,
            detail=str(recipient.get("diagnosticCode") or body.get("bounceSubType", ""))[:1000],
            key=_feedback_key(body, at),
            suppress_as=_bounce_suppression(body, recipient) if permanent else "",
        )
        for recipient in body["bouncedRecipients"]
    ]


def _bounce_data(body: dict[str, Any], recipient: dict[str, Any]) -> dict[str, Any]:
    kind, subtype = body.get("bounceType", "Undetermined"), body.get("bounceSubType", "")
    code = recipient.get("diagnosticCode")
    return {
        "type": kind,
        "subType": subtype,
        "message": code or f"{kind} bounce: {subtype}",
        **({"diagnosticCode": code} if code else {}),
    }


def _bounce_suppression(body: dict[str, Any], recipient: dict[str, Any]) -> str:
    """Permanent bounces suppress the recipient, unless its own status is temporary."""
    status = str(recipient.get("status", ""))
    if str(recipient.get("action", "")).lower() == "delayed" or status.startswith("4."):
        return ""
    if body.get("bounceSubType") == "UnsubscribedRecipient":
        return Suppression.Origin.UNSUBSCRIBED.value
    return Suppression.Origin.BOUNCE.value


def _complaint(body: dict[str, Any], at: datetime | None) -> list[Draft]:
    kind = body.get("complaintFeedbackType")
    # "not-spam": a recipient moved the email out of the spam folder, so it is no complaint.
    is_complaint = kind != "not-spam"
    return [
        partial(
            EmailFact,
            type="complained",
            occurred_at=_required(at),
            payload=body,
            event_data={"complaint": body},
            recipient=_address(recipient["emailAddress"]),
            status=Status.COMPLAINED if is_complaint else "",
            detail=str(kind or body.get("complaintSubType") or ""),
            key=_feedback_key(body, at),
            suppress_as=Suppression.Origin.COMPLAINT.value if is_complaint else "",
            is_published=is_complaint,
        )
        for recipient in body["complainedRecipients"]
    ]


def _feedback_key(body: dict[str, Any], at: datetime | None) -> str:
    """Deduplicates a report that arrives as both event and notification, with one feedbackId."""
    return str(body.get("feedbackId") or _required(at).isoformat())


def _open_or_click(type_name: str, key: str) -> "Parser":
    def parse_body(body: dict[str, Any], at: datetime | None) -> list[Draft]:
        user_agent = str(body.get("userAgent") or "")
        data = body | {"machine": classify(user_agent).is_machine}
        fact_key = "\n".join(
            (
                _required(at).isoformat(),
                str(body.get("ipAddress")),
                str(body.get("link")),
                user_agent,
            )
        )
        return [
            partial(
                EmailFact,
                type=type_name,
                occurred_at=_required(at),
                key=fact_key,
                payload=data,
                event_data={key: data},
            )
        ]

    return parse_body


def _subscription(body: dict[str, Any], at: datetime | None) -> list[Draft]:
    return []


def _unsubscribed(mail: dict[str, Any], body: dict[str, Any]) -> list[str]:
    """Addresses that unsubscribed from everything; changes of single topics do not count."""
    preferences = body.get("newTopicPreferences")
    if not isinstance(preferences, dict) or preferences.get("unsubscribeAll") is not True:
        return []
    addresses = []
    for address in mail.get("destination") or []:
        try:
            addresses.append(normalise(_address(address)))
        except ValueError:
            continue
    return addresses


Parser = Callable[[dict[str, Any], datetime | None], list[Draft]]

_RENDERING_FAILURE = (
    "failure",
    _failed(
        "failure", lambda body: str(body.get("errorMessage", "The template could not be rendered."))
    ),
)
# SES event type: its sub-object and the parser of that.
_PARSERS: dict[str, tuple[str, Parser]] = {
    "Send": ("send", _for_all_recipients("sent", Status.SENT, "send")),
    "Delivery": ("delivery", _delivery),
    "DeliveryDelay": ("deliveryDelay", _delay),
    "Bounce": ("bounce", _bounce),
    "Complaint": ("complaint", _complaint),
    "Reject": ("reject", _failed("reject", lambda body: str(body.get("reason", "Rejected")))),
    "Rendering Failure": _RENDERING_FAILURE,
    "RenderingFailure": _RENDERING_FAILURE,
    "Open": ("open", _open_or_click("opened", "open")),
    "Click": ("click", _open_or_click("clicked", "click")),
    "Subscription": ("subscription", _subscription),
}
