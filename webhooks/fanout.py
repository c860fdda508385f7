"""Fan-out: creates a delivery of each event for every endpoint subscribed to it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from core.db.bulk import insert_ignoring_conflicts
from core.db.ids import uuid7
from core.queue.wake import wake
from events.catalogue import matches
from events.models import Event
from webhooks import queues
from webhooks.models import Delivery, Endpoint


@dataclass(frozen=True, slots=True)
class Subscription:
    """The event types and filters of one endpoint."""

    endpoint_id: UUID
    types: set[str]
    domains: set[UUID]
    pods: set[UUID]
    inboxes: set[UUID]

    def matches(self, event: Event) -> bool:
        """Filters don't apply to `webhook.*` events, but an endpoint gets none about itself."""
        if not matches(self.types, event.type):
            return False
        if event.type.startswith("webhook."):
            return bool(event.data()["webhook_id"] != str(self.endpoint_id))
        return (
            (not self.domains or event.domain_id in self.domains)
            and (not self.pods or event.pod_id in self.pods)
            and (not self.inboxes or event.inbox_id in self.inboxes)
        )


def fan_out(events: Sequence[Event]) -> None:
    """Create the deliveries of a batch of events; always two statements."""
    subscriptions = _subscriptions({event.workspace_id for event in events})
    pairs = [
        (each.endpoint_id, event.pk)
        for event in events
        for each in subscriptions.get(event.workspace_id, ())
        if each.matches(event)
    ]
    # An event that is dispatched twice adds nothing: webhook_deliveries_once.
    if create_deliveries(pairs):
        wake(queues.DELIVER.task)


def create_deliveries(pairs: Sequence[tuple[UUID, UUID]]) -> set[UUID]:
    """Create missing deliveries, due now, for (endpoint id, event id) pairs; return their ids."""
    now = timezone.now()
    # `next_attempt_at` defaults to the database's clock.
    rows = [
        {
            "id": uuid7(),
            "endpoint_id": endpoint_id,
            "event_id": event_id,
            "status": Delivery.Status.PENDING.value,
            "attempts": 0,
            "last_error": "",
            "created_at": now,
            "claims": 0,
            "crashes": 0,
        }
        # Sorted to avoid deadlocks: a fan-out and a recovery may insert the same pairs.
        for endpoint_id, event_id in sorted(pairs)
    ]
    return insert_ignoring_conflicts(Delivery, rows)


def subscription_of(endpoint: Endpoint) -> Subscription:
    return Subscription(
        endpoint.pk,
        set(endpoint.event_types),
        set(endpoint.domain_ids),
        set(endpoint.pod_ids),
        set(endpoint.inbox_ids),
    )


def _subscriptions(workspaces: set[UUID]) -> dict[UUID, list[Subscription]]:
    subscriptions: defaultdict[UUID, list[Subscription]] = defaultdict(list)
    rows = Endpoint.objects.enabled().filter(workspace__in=workspaces)
    for endpoint in rows.only("workspace_id", "event_types", "domain_ids", "pod_ids", "inbox_ids"):
        subscriptions[endpoint.workspace_id].append(subscription_of(endpoint))
    return subscriptions
