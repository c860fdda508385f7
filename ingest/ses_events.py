"""Parses SES events (Amazon SES developer guide, "Event data that Amazon SES publishes").

Both formats are accepted: event publishing (`eventType`) and identity notifications
(`notificationType`). Unknown fields are ignored, because SES may add fields.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from contacts.models import Suppression
from emails.content.addresses import normalise, parse
from emails.content.mime import ID_HEADER
from emails.models import Email
from emails.providers.ses import EMAIL_TAG
from tracking.bot_detection import classify

Status = Email.Status


class UnknownEvent(Exception):
    """The message is not an SES event that we can parse; the message says why."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One fact that an event states, for one recipient or, if `recipient` is empty, for all."""

    type: str
    occurred_at: datetime
    payload: dict[str, Any]
    webhook: dict[str, Any]
    recipient: str = ""
    status: str = ""
    detail: str = ""
    key: str = ""
    suppress_as: str = ""
    is_published: bool = True


@dataclass(frozen=True, slots=True)
class SesEvent:
    """A parsed event. `email_id` is our own id, if the event has it.

    `accepted_at` is when SES accepted the email.
    """

    type: str
    message_id: str
    accepted_at: datetime | None
    email_id: UUID | None
    effects: list[Effect]
    unsubscribed: list[str]


def parse_event(message: str) -> SesEvent:
    """Parse the `Message` of a notification; raises UnknownEvent."""
    try:
        event = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise UnknownEvent(f"Message is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise UnknownEvent("Message is not a JSON object")
    if "\\u0000" in message:
        event = _without_nul(event)
    mail = event.get("mail")
    if not isinstance(mail, dict) or not isinstance(mail.get("messageId"), str):
        raise UnknownEvent("Message has no mail.messageId")
    name = event.get("eventType") or event.get("notificationType")
    entry = _PARSERS.get(name) if isinstance(name, str) else None
    if entry is None:
        raise UnknownEvent(f"unknown event type {str(name)[:60]!r}")
    key, parse_body = entry
    body = event.get(key) or {}
    if not isinstance(body, dict):
        raise UnknownEvent(f"`{key}` is not an object")
    try:
        effects = parse_body(body, _time(body.get("timestamp")) or _time(mail.get("timestamp")))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnknownEvent(
            f"`{key}` does not match the SES documentation: {error!r}"[:300]
        ) from error
    return SesEvent(
        type=str(name),
        message_id=mail["messageId"],
        accepted_at=_time(mail.get("timestamp")),
        email_id=_email_id(mail),
        effects=effects,
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
    def parse_body(body: dict[str, Any], at: datetime | None) -> list[Effect]:
        return [Effect(type_name, _required(at), body, {key: body}, status=status)]

    return parse_body


def _failed(key: str, reason: Callable[[dict[str, Any]], str]) -> "Parser":
    def parse_body(body: dict[str, Any], at: datetime | None) -> list[Effect]:
        text = reason(body)
        return [
            Effect(
                "failed",
                _required(at),
                body,
                {key: body, "failed": {"reason": text}},
                status=Status.FAILED,
                detail=text,
                key=key,
            )
        ]

    return parse_body


def _delivery(body: dict[str, Any], at: datetime | None) -> list[Effect]:
    return [
        Effect(
            "delivered",
            _required(at),
            body,
            {"delivery": body},
            recipient=_address(address),
            status=Status.DELIVERED,
            detail=str(body.get("smtpResponse", ""))[:1000],
            key=_required(at).isoformat(),
        )
        for address in body["recipients"]
    ]


def _delay(body: dict[str, Any], at: datetime | None) -> list[Effect]:
    return [
        Effect(
            "delivery_delayed",
            _required(at),
            body,
            {"deliveryDelay": body},
            recipient=_address(recipient["emailAddress"]),
            status=Status.DELIVERY_DELAYED,
            detail=str(recipient.get("diagnosticCode") or body.get("delayType", ""))[:1000],
            key=_required(at).isoformat(),
        )
        for recipient in body["delayedRecipients"]
    ]


def _bounce(body: dict[str, Any], at: datetime | None) -> list[Effect]:
    permanent = body.get("bounceType") == "Permanent"
    return [
        Effect(
            "bounced",
            _required(at),
            body,
            {"bounce": _bounce_data(body, recipient)},
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


def _complaint(body: dict[str, Any], at: datetime | None) -> list[Effect]:
    kind = body.get("complaintFeedbackType")
    # "not-spam": a recipient moved the email out of the spam folder, so it is no complaint.
    is_complaint = kind != "not-spam"
    return [
        Effect(
            "complained",
            _required(at),
            body,
            {"complaint": body},
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
    def parse_body(body: dict[str, Any], at: datetime | None) -> list[Effect]:
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
        return [Effect(type_name, _required(at), data, {key: data}, key=fact_key)]

    return parse_body


def _subscription(body: dict[str, Any], at: datetime | None) -> list[Effect]:
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


Parser = Callable[[dict[str, Any], datetime | None], list[Effect]]

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
