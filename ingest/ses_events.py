"""What an SES event means (Amazon SES developer guide, "Event data that Amazon SES publishes").

Event publishing names its type `eventType`, identity notifications `notificationType`; both are
read. Unknown fields are ignored: SES reserves the right to add some.
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
    """The message is no SES event that we know how to read; the text says why."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One fact of an event, for one recipient or (empty) for all."""

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
    """An event that was understood. `email_id` is ours when the event carries it.

    `taken_at` is when SES took the mail.
    """

    type: str
    message_id: str
    taken_at: datetime | None
    email_id: UUID | None
    effects: list[Effect]
    unsubscribed: list[str]


def parse_event(message: str) -> SesEvent:
    """Read the `Message` of a notification; raises UnknownEvent."""
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
    reader = _READERS.get(name) if isinstance(name, str) else None
    if reader is None:
        raise UnknownEvent(f"unknown event type {str(name)[:60]!r}")
    key, read = reader
    told = event.get(key) or {}
    if not isinstance(told, dict):
        raise UnknownEvent(f"`{key}` is not an object")
    try:
        effects = read(told, _time(told.get("timestamp")) or _time(mail.get("timestamp")))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnknownEvent(f"`{key}` is not as SES documents it: {error!r}"[:300]) from error
    return SesEvent(
        type=str(name),
        message_id=mail["messageId"],
        taken_at=_time(mail.get("timestamp")),
        email_id=_email_id(mail),
        effects=effects,
        unsubscribed=_unsubscribed(mail, told) if key == "subscription" else [],
    )


def _email_id(mail: dict[str, Any]) -> UUID | None:
    """By the message tag, else by the header, both of which only we set."""
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
    """Strangers' servers word the diagnostic codes, and PostgreSQL holds no U+0000."""
    if isinstance(value, str):
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def _time(given: Any) -> datetime | None:
    """ISO 8601; SES's identity notifications also write `2018-10-08T14:05:45 +0000`."""
    if not isinstance(given, str):
        return None
    try:
        moment = datetime.fromisoformat(given.replace(" +", "+"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _at(moment: datetime | None) -> datetime:
    if moment is None:
        raise ValueError("no timestamp")
    return moment


def _address(given: Any) -> str:
    """`Name <a@b>`, odd case, A- or U-labels: as the recipient's row has it, or as it came."""
    text = given.strip()
    if not text:
        raise ValueError("an empty address")
    try:
        return parse(text).address
    except ValueError:
        return str(text[:320])


def _for_all(type_name: str, status: str, key: str) -> "Reader":
    def read(told: dict[str, Any], at: datetime | None) -> list[Effect]:
        return [Effect(type_name, _at(at), told, {key: told}, status=status)]

    return read


def _failed(key: str, reason: Callable[[dict[str, Any]], str]) -> "Reader":
    def read(told: dict[str, Any], at: datetime | None) -> list[Effect]:
        why = reason(told)
        webhook = {key: told, "failed": {"reason": why}}
        return [Effect("failed", _at(at), told, webhook, status=Status.FAILED, detail=why, key=key)]

    return read


def _delivery(told: dict[str, Any], at: datetime | None) -> list[Effect]:
    return [
        Effect(
            "delivered",
            _at(at),
            told,
            {"delivery": told},
            recipient=_address(address),
            status=Status.DELIVERED,
            detail=str(told.get("smtpResponse", ""))[:1000],
            key=_at(at).isoformat(),
        )
        for address in told["recipients"]
    ]


def _delay(told: dict[str, Any], at: datetime | None) -> list[Effect]:
    return [
        Effect(
            "delivery_delayed",
            _at(at),
            told,
            {"deliveryDelay": told},
            recipient=_address(each["emailAddress"]),
            status=Status.DELIVERY_DELAYED,
            detail=str(each.get("diagnosticCode") or told.get("delayType", ""))[:1000],
            key=_at(at).isoformat(),
        )
        for each in told["delayedRecipients"]
    ]


def _bounce(told: dict[str, Any], at: datetime | None) -> list[Effect]:
    permanent = told.get("bounceType") == "Permanent"
    return [
        Effect(
            "bounced",
            _at(at),
            told,
            {"bounce": _bounce_told(told, each)},
            recipient=_address(each["emailAddress"]),
            status=Status.BOUNCED if permanent else Status.SOFT_BOUNCED,
            detail=str(each.get("diagnosticCode") or told.get("bounceSubType", ""))[:1000],
            key=_feedback(told, at),
            suppress_as=_bounce_suppresses(told, each) if permanent else "",
        )
        for each in told["bouncedRecipients"]
    ]


def _bounce_told(told: dict[str, Any], recipient: dict[str, Any]) -> dict[str, Any]:
    kind, subtype = told.get("bounceType", "Undetermined"), told.get("bounceSubType", "")
    code = recipient.get("diagnosticCode")
    return {
        "type": kind,
        "subType": subtype,
        "message": code or f"{kind} bounce: {subtype}",
        **({"diagnosticCode": code} if code else {}),
    }


def _bounce_suppresses(told: dict[str, Any], recipient: dict[str, Any]) -> str:
    """A permanent bounce suppresses, unless the recipient's own part of it is temporary."""
    status = str(recipient.get("status", ""))
    if str(recipient.get("action", "")).lower() == "delayed" or status.startswith("4."):
        return ""
    if told.get("bounceSubType") == "UnsubscribedRecipient":
        return Suppression.Origin.UNSUBSCRIBED.value
    return Suppression.Origin.BOUNCE.value


def _complaint(told: dict[str, Any], at: datetime | None) -> list[Effect]:
    kind = told.get("complaintFeedbackType")
    # "not-spam" is somebody taking a mail out of the spam folder: the opposite of a complaint.
    meant = kind != "not-spam"
    return [
        Effect(
            "complained",
            _at(at),
            told,
            {"complaint": told},
            recipient=_address(each["emailAddress"]),
            status=Status.COMPLAINED if meant else "",
            detail=str(kind or told.get("complaintSubType") or ""),
            key=_feedback(told, at),
            suppress_as=Suppression.Origin.COMPLAINT.value if meant else "",
            is_published=meant,
        )
        for each in told["complainedRecipients"]
    ]


def _feedback(told: dict[str, Any], at: datetime | None) -> str:
    """One bounce can come by two ways; its feedbackId is the same on both."""
    return str(told.get("feedbackId") or _at(at).isoformat())


def _hit(type_name: str, key: str) -> "Reader":
    def read(told: dict[str, Any], at: datetime | None) -> list[Effect]:
        agent = str(told.get("userAgent") or "")
        shown = told | {"machine": classify(agent).is_machine}
        again = "\n".join(
            (_at(at).isoformat(), str(told.get("ipAddress")), str(told.get("link")), agent)
        )
        return [Effect(type_name, _at(at), shown, {key: shown}, key=again)]

    return read


def _subscription(told: dict[str, Any], at: datetime | None) -> list[Effect]:
    return []


def _unsubscribed(mail: dict[str, Any], told: dict[str, Any]) -> list[str]:
    """Those who want no more mail at all; a change of single topics isn't that."""
    preferences = told.get("newTopicPreferences")
    if not isinstance(preferences, dict) or preferences.get("unsubscribeAll") is not True:
        return []
    found = []
    for address in mail.get("destination") or []:
        try:
            found.append(normalise(_address(address)))
        except ValueError:
            continue
    return found


Reader = Callable[[dict[str, Any], datetime | None], list[Effect]]

_RENDERING_FAILURE = (
    "failure",
    _failed("failure", lambda told: str(told.get("errorMessage", "The template did not render."))),
)
_READERS: dict[str, tuple[str, Reader]] = {
    "Send": ("send", _for_all("sent", Status.SENT, "send")),
    "Delivery": ("delivery", _delivery),
    "DeliveryDelay": ("deliveryDelay", _delay),
    "Bounce": ("bounce", _bounce),
    "Complaint": ("complaint", _complaint),
    "Reject": ("reject", _failed("reject", lambda told: str(told.get("reason", "Rejected")))),
    "Rendering Failure": _RENDERING_FAILURE,
    "RenderingFailure": _RENDERING_FAILURE,
    "Open": ("open", _hit("opened", "open")),
    "Click": ("click", _hit("clicked", "click")),
    "Subscription": ("subscription", _subscription),
}
