"""One function per kind of fact that this app records; `ingest` builds its own from SES events."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.utils import timezone

from core.times import iso
from emails.facts.record import EmailFact
from emails.models import Email
from emails.providers import Accepted
from tracking.bot_detection import Verdict
from tracking.models import Hit
from tracking.tokens import Unsubscribe

_NOT_SENT = "An operator decided that the provider never accepted it."


def sent(email: Email, answer: Accepted) -> EmailFact:
    now = timezone.now()
    return EmailFact(
        email_id=email.pk,
        type="sent",
        status=Email.Status.SENT.value,
        occurred_at=now,
        accepted_at=now,
        provider_response=orjson.dumps(answer.provider_response, default=str).decode()[:2000],
        provider_message_id=answer.provider_message_id,
        message_id=answer.message_id,
    )


def refused(email: Email, answer: Accepted) -> list[EmailFact]:
    """The recipients that the provider refused while it accepted the message for others."""
    return [
        failed(email.pk, reason=reason, recipient=address)
        for address, reason in answer.refused.items()
    ]


def failed(email_id: UUID, *, reason: str, recipient: str = "") -> EmailFact:
    data = {"reason": reason}
    return EmailFact(
        email_id=email_id,
        type="failed",
        recipient=recipient,
        status=Email.Status.FAILED.value,
        detail=reason[:1000],
        occurred_at=timezone.now(),
        payload=data,
        event_data={"failed": data},
    )


def delayed(email_id: UUID, *, reason: str, key: str, at: datetime | None = None) -> EmailFact:
    """`key` distinguishes this delay from the email's other delays; `at` is now by default."""
    data = {"reason": reason}
    return EmailFact(
        email_id=email_id,
        type="delayed",
        occurred_at=at or timezone.now(),
        key=key,
        payload=data,
        event_data={"delayed": data},
    )


def scheduled(email: Email, at: datetime, *, key: str = "") -> EmailFact:
    """`key` distinguishes a rescheduling from the first schedule."""
    data = {"scheduled_at": iso(at)}
    return EmailFact(
        email_id=email.pk,
        type="scheduled",
        occurred_at=timezone.now(),
        key=key,
        payload=data,
        event_data=data,
    )


def cancelled(email: Email) -> EmailFact:
    return EmailFact(
        email_id=email.pk,
        type="cancelled",
        status=Email.Status.CANCELLED.value,
        occurred_at=timezone.now(),
        is_published=False,
    )


def suppressed(email: Email, *, address: str, origin: str) -> EmailFact:
    """A recipient is dropped; `origin` is why the address is on the suppression list."""
    data = {"type": origin, "message": f"The address is on the suppression list ({origin})."}
    return EmailFact(
        email_id=email.pk,
        type="suppressed",
        recipient=address,
        status=Email.Status.SUPPRESSED.value,
        detail=origin,
        occurred_at=timezone.now(),
        payload=data,
        event_data={"suppressed": data},
    )


def resolved(email_id: UUID, *, was_sent: bool) -> EmailFact:
    """An operator decides the outcome of an unknown send."""
    if not was_sent:
        return failed(email_id, reason=_NOT_SENT)
    now = timezone.now()
    return EmailFact(
        email_id=email_id,
        type="sent",
        status=Email.Status.SENT.value,
        occurred_at=now,
        accepted_at=now,
    )


def unsubscribed(request: Unsubscribe) -> EmailFact:
    """For the email's own history; `contacts` publishes the contact's and suppression's events."""
    return EmailFact(
        email_id=request.email_id,
        type="unsubscribed",
        recipient=request.address,
        occurred_at=timezone.now(),
        suppress_as="unsubscribed",
        is_published=False,
    )


class _HitNames(NamedTuple):
    fact_type: str
    sub_object: str  # of the event's data


_HIT_NAMES = {
    Hit.Kind.OPEN.value: _HitNames("opened", "open"),
    Hit.Kind.CLICK.value: _HitNames("clicked", "click"),
}


def opened_or_clicked(hit: Hit, verdict: Verdict, email: Email, *, address: str) -> EmailFact:
    names = _HIT_NAMES[hit.kind]
    data = _hit_data(hit, verdict)
    return EmailFact(
        email_id=hit.email_id,
        type=names.fact_type,
        occurred_at=hit.at,
        recipient=address,
        key=str(hit.pk),
        payload=data,
        event_data={names.sub_object: data},
        # A hit proves that the email was sent, even if the send's outcome is unknown.
        accepted_at=None if email.sent_at else hit.at,
    )


def _hit_data(hit: Hit, verdict: Verdict) -> dict[str, Any]:
    """Named like SES's open and click objects; the network is left out: it is purged earlier."""
    data: dict[str, Any] = {"timestamp": iso(hit.at), "userAgent": hit.user_agent}
    if hit.kind == Hit.Kind.CLICK:
        data |= {"link": hit.target, "linkTags": None}
    return data | {
        "machine": verdict.is_machine,
        "verdict": verdict.kind,
        "reasons": list(verdict.reasons),
    }
