"""How an app notifies the apps above it: it publishes facts, subscribers get them later."""

from collections import defaultdict
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
from events import queues, subscriptions
from events.catalogue import CATALOGUE
from events.envelopes import serialize
from events.models import Event


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

    An event that no subscriber wants is only recorded.
    RuntimeError outside a transaction, KeyError for a type that is not in the catalogue.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("publish() must be called in the transaction of the change itself")
    if not facts:
        return []
    events = [_event(fact) for fact in facts]
    due = [event for event in events if event.pending]
    # Apart, because the first of a group decides for all whether the database sets a column.
    bulk.insert(due, [event for event in events if not event.pending])
    if due:
        wake(queues.DISPATCH.task)
    return events


def dispatch_again(events: Sequence[Event]) -> int:
    """Make finished events due again; returns how many were not due already.

    Dead-lettered events are due for their pending subscribers, others for all that want their
    type. The latter handle the event a second time, which webhooks do without a second delivery.
    """
    keys: defaultdict[tuple[str, ...], list[UUID]] = defaultdict(list)
    with transaction.atomic():
        finished = (
            Event.objects.filter(pk__in=[event.pk for event in events], next_attempt_at=None)
            .order_by("pk")
            .select_for_update(no_key=True)
        )
        for key, type_name, pending in finished.values_list("pk", "type", "pending"):
            keys[tuple(pending or subscriptions.subscriber_names(type_name))].append(key)
        for names, some in keys.items():
            Event.objects.filter(pk__in=some).update(
                next_attempt_at=Now(), pending=list(names), failed_attempts=0, last_error=""
            )
        if keys:
            wake(queues.DISPATCH.task)
    return sum(map(len, keys.values()))


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
        pending=subscriptions.subscriber_names(kind.name),
    )
    if not event.pending:
        event.next_attempt_at = None
    event.body = serialize(
        kind.envelope,
        event.type,
        event_id=event.public_id,
        at=event.created_at,
        data=fact.data,
    )
    return event
