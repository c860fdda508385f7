"""`GET /emails/{id}/trace`: the whole history of one email, down to its webhook deliveries.

A published event has the id of its fact, so the events of an email and their deliveries are
found by the ids of its facts.
"""

from collections import defaultdict
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from core.times import iso
from emails.api.representations import details
from emails.models import Email, EmailEvent
from events.models import Event
from webhooks.models import Delivery

# Only the newest are returned; `has_more` is true if there are older ones.
MAX_FACTS = 200
MAX_DELIVERIES = 1000

_NEXT = {
    "scheduled": "It is sent at its scheduled time.",
    "queued": "It is sent to the provider.",
    "held": "It fails unless it is released before.",
    "sending": "The provider call is in flight; without a result by then the outcome is unknown.",
    "unknown": "Waiting for evidence of whether the provider accepted it.",
    "sent": "Waiting for the provider to report the delivery or a bounce.",
    "delivery_delayed": "The provider keeps retrying.",
}
_UNDECIDED = "Held until an operator decides whether it was sent."


class TraceKey(BaseModel):
    """The API key that the email was accepted with."""

    id: str
    name: str


class TraceDelivery(BaseModel):
    """The delivery of an event to one webhook; see `GET /webhooks/{webhook_id}/events/{id}`."""

    webhook_id: str
    status: str
    attempts: int
    last_status_code: int | None
    last_error: str | None
    next_attempt_at: str | None


class TraceEvent(BaseModel):
    """The published event of a fact. `dispatched`: its webhook deliveries have been created."""

    id: str
    type: str
    created_at: str
    dispatched: bool
    deliveries: list[TraceDelivery]


class TraceEntry(BaseModel):
    """One fact; `received_at` is when it was recorded. `event` is null if the fact is not
    published or the event has been purged."""

    type: str
    recipient: str | None
    occurred_at: str
    received_at: str
    data: dict[str, Any]
    event: TraceEvent | None


class TraceAccepted(BaseModel):
    at: str
    request_id: str | None
    api_key: TraceKey | None


class TraceSending(BaseModel):
    """Provider calls: the number of attempts, the first attempt, and the result of the last one."""

    attempts: int
    first_attempt_at: str | None
    sent_at: str | None
    last_error: str | None
    provider: str
    provider_message_id: str | None
    provider_response: str | None


class TraceNext(BaseModel):
    """What happens next, and the earliest time of it."""

    at: str | None
    what: str


class EmailTrace(BaseModel):
    """`next` is null when no further step is pending."""

    object: Literal["email_trace"] = "email_trace"
    id: str
    status: str
    accepted: TraceAccepted
    sending: TraceSending
    entries: list[TraceEntry]
    has_more: bool
    next: TraceNext | None


def trace(email: Email) -> EmailTrace:
    """The newest MAX_FACTS facts in the order in which they happened; four queries."""
    newest = list(EmailEvent.objects.filter(email=email).order_by("-pk")[: MAX_FACTS + 1])
    facts = sorted(newest[:MAX_FACTS], key=lambda fact: (fact.occurred_at, fact.pk))
    events = _events(email, facts)
    deliveries, is_truncated = _deliveries(events)
    return EmailTrace(
        id=str(email.pk),
        status=email.status,
        accepted=_accepted(email),
        sending=_sending(email),
        entries=[_entry(fact, events.get(fact.pk), deliveries.get(fact.pk, [])) for fact in facts],
        has_more=is_truncated or len(newest) > MAX_FACTS,
        next=_next(email),
    )


def _events(email: Email, facts: list[EmailEvent]) -> dict[UUID, Event]:
    rows = Event.objects.filter(
        workspace=email.workspace_id, pk__in=[fact.pk for fact in facts]
    ).only("type", "created_at", "next_attempt_at")
    return {event.pk: event for event in rows}


def _deliveries(events: dict[UUID, Event]) -> tuple[dict[UUID, list[Delivery]], bool]:
    """The deliveries of each event, and whether the list is truncated."""
    rows = Delivery.objects.filter(event__in=list(events), endpoint__deleted_at=None)
    newest = list(rows.order_by("-event_id", "endpoint_id")[: MAX_DELIVERIES + 1])
    by_event: defaultdict[UUID, list[Delivery]] = defaultdict(list)
    for delivery in newest[:MAX_DELIVERIES]:
        by_event[delivery.event_id].append(delivery)
    return by_event, len(newest) > MAX_DELIVERIES


def _accepted(email: Email) -> TraceAccepted:
    key = email.api_key
    return TraceAccepted(
        at=iso(email.created_at),
        request_id=email.request_id or None,
        api_key=TraceKey(id=str(key.pk), name=key.name) if key else None,
    )


def _sending(email: Email) -> TraceSending:
    return TraceSending(
        attempts=email.claims,
        first_attempt_at=iso(email.first_attempt_at),
        sent_at=iso(email.sent_at),
        last_error=email.last_error or None,
        provider=email.provider,
        provider_message_id=email.provider_message_id or None,
        provider_response=email.provider_response or None,
    )


def _entry(fact: EmailEvent, event: Event | None, deliveries: list[Delivery]) -> TraceEntry:
    return TraceEntry(
        type=fact.type,
        recipient=fact.recipient or None,
        occurred_at=iso(fact.occurred_at),
        received_at=iso(fact.received_at),
        data=details(fact),
        event=_event(event, deliveries) if event else None,
    )


def _event(event: Event, deliveries: list[Delivery]) -> TraceEvent:
    return TraceEvent(
        id=event.public_id,
        type=event.type,
        created_at=iso(event.created_at),
        dispatched=event.next_attempt_at is None,
        deliveries=[_delivery(each) for each in deliveries],
    )


def _delivery(delivery: Delivery) -> TraceDelivery:
    return TraceDelivery(
        webhook_id=str(delivery.endpoint_id),
        status=delivery.status,
        attempts=delivery.attempts,
        last_status_code=delivery.last_status_code,
        last_error=delivery.last_error or None,
        next_attempt_at=iso(delivery.next_attempt_at),
    )


def _next(email: Email) -> TraceNext | None:
    what = _NEXT.get(email.status)
    if email.status == Email.Status.UNKNOWN and email.next_attempt_at is None:
        what = _UNDECIDED
    elif email.status == Email.Status.SCHEDULED and email.next_attempt_at != email.scheduled_at:
        what = _NEXT["queued"]  # its time has passed and the attempt was deferred
    return TraceNext(at=iso(email.next_attempt_at), what=what) if what else None
