"""How an app notifies the apps above it: it publishes facts, subscribers get them later."""

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
    """Something that happened. `data` is a complete snapshot that matches the catalogue's payload.

    `id` becomes the id of the event. Endpoints can filter events by domain, pod and inbox.
    `request_id` is the request that caused the fact, by default the current one.
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
    """Record facts in the transaction of the change itself, so both commit or neither does.

    RuntimeError outside a transaction, KeyError for a type that is not in the catalogue.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("publish() must be called in the transaction of the change itself")
    if not facts:
        return []
    events = [_event(fact) for fact in facts]
    bulk.insert(events)
    wake(DISPATCH)
    return events


def dispatch_again(events: Sequence[Event]) -> int:
    """Make dispatched events due again; returns how many were not due already.

    This is idempotent: there is one delivery per endpoint and event.
    """
    with transaction.atomic():
        dispatched = Event.objects.filter(
            pk__in=[event.pk for event in events], next_attempt_at=None
        )
        count = dispatched.update(next_attempt_at=Now(), last_error="")
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
