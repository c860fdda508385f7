"""How apps talk upwards: publish a fact; whoever subscribed hears of it later."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from core.context import request_id
from core.db import bulk
from core.db.ids import uuid7
from core.queue.wake import wake
from events.catalogue import CATALOGUE
from events.envelopes import sealed
from events.models import Event

DISPATCH = "events.tasks.dispatch_due_events"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened: `data` is a complete snapshot, as the catalogue's payload.

    `id` becomes the event's. The other ids are of what it is about; endpoints may ask for the
    events of some of these only. `request_id` is the request that led to it: the current one
    unless told.
    """

    type: str
    workspace_id: UUID
    data: dict[str, Any]
    id: UUID = field(default_factory=uuid7)
    domain_id: UUID | None = None
    pod_id: UUID | None = None
    inbox_id: UUID | None = None
    request_id: str = field(default_factory=request_id.get)


def publish(facts: Sequence[Fact]) -> list[Event]:
    """Record facts together with the change that made them true: both, or neither.

    RuntimeError outside a transaction, KeyError for a type that the catalogue doesn't have.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("publish() belongs in the transaction of the change itself")
    if not facts:
        return []
    events = [_event(fact) for fact in facts]
    bulk.insert(events)
    wake(DISPATCH)
    return events


def dispatch_again(events: Sequence[Event]) -> int:
    """Let subscribers hear events anew; how many that were not due anyway.

    Hearing twice makes nothing twice: a delivery is owed once for an endpoint and an event.
    """
    with transaction.atomic():
        heard = Event.objects.filter(pk__in=[event.pk for event in events], next_attempt_at=None)
        count = heard.update(next_attempt_at=Now(), last_error="")
        if count:
            wake(DISPATCH)
    return count


def _event(fact: Fact) -> Event:
    kind = CATALOGUE[fact.type]
    event = Event(
        id=fact.id,
        workspace_id=fact.workspace_id,
        type=kind.name,
        request_id=fact.request_id,
        domain_id=fact.domain_id,
        pod_id=fact.pod_id,
        inbox_id=fact.inbox_id,
        created_at=timezone.now(),
    )
    event.body = sealed(
        kind.envelope,
        event.type,
        event_id=event.public_id,
        at=event.created_at,
        data=fact.data,
    )
    return event
