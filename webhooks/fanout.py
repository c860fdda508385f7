"""Every event is owed to each endpoint of its workspace that asks for its type."""

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
from webhooks.models import Delivery, Endpoint

DELIVER = "webhooks.tasks.deliver_due_webhooks"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one endpoint asks for."""

    endpoint_id: UUID
    types: set[str]
    domains: set[UUID]
    pods: set[UUID]
    inboxes: set[UUID]

    def wants(self, event: Event) -> bool:
        """An endpoint's filters leave out what is about nothing that they name, but for notices
        on endpoints; and no endpoint hears about itself."""
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
    """Two statements a batch, whatever the number of events and endpoints."""
    subscriptions = _subscriptions({event.workspace_id for event in events})
    owed = [
        (each.endpoint_id, event.pk)
        for event in events
        for each in subscriptions.get(event.workspace_id, ())
        if each.wants(event)
    ]
    # A second hearing of an event adds nothing: webhook_deliveries_once.
    if create_deliveries(owed):
        wake(DELIVER)


def create_deliveries(pairs: Sequence[tuple[UUID, UUID]]) -> set[UUID]:
    """New deliveries of (endpoint, event), due at once; the ids of those that were not there."""
    now = timezone.now()
    # Due by the default of `next_attempt_at`, which is the database's clock.
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
        # In one order everywhere: a fan-out and a recovery may owe the same.
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
    found: defaultdict[UUID, list[Subscription]] = defaultdict(list)
    rows = Endpoint.objects.enabled().filter(workspace__in=workspaces)
    for endpoint in rows.only("workspace_id", "event_types", "domain_ids", "pod_ids", "inbox_ids"):
        found[endpoint.workspace_id].append(subscription_of(endpoint))
    return found
