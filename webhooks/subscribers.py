"""Every event is owed to each endpoint of its workspace that asks for its type."""

from collections.abc import Sequence
from uuid import UUID

from django.utils import timezone

from core.bulk import insert_ignoring_conflicts
from core.ids import uuid7
from core.wake import wake
from events.catalogue import matches
from events.models import Event
from webhooks.models import Delivery, Endpoint

DELIVER = "webhooks.tasks.deliver_due_webhooks"


def fan_out(events: Sequence[Event]) -> None:
    """Two statements a batch, whatever the number of events and endpoints."""
    wanted = _subscriptions({event.workspace_id for event in events})
    now = timezone.now()
    # Due by the default of `next_attempt_at`, which is the database's clock.
    owed = [
        {
            "id": uuid7(),
            "endpoint_id": endpoint_id,
            "event_id": event.pk,
            "status": Delivery.Status.PENDING.value,
            "attempts": 0,
            "last_error": "",
            "created_at": now,
            "claims": 0,
            "unsettled_claims": 0,
        }
        for event in events
        for endpoint_id, types in wanted.get(event.workspace_id, ())
        if matches(types, event.type)
    ]
    # A second hearing of an event adds nothing: webhook_deliveries_once.
    if insert_ignoring_conflicts(Delivery, owed):
        wake(DELIVER)


def _subscriptions(workspaces: set[UUID]) -> dict[UUID, list[tuple[UUID, set[str]]]]:
    found: dict[UUID, list[tuple[UUID, set[str]]]] = {}
    rows = Endpoint.objects.enabled().filter(workspace__in=workspaces)
    for workspace_id, endpoint_id, types in rows.values_list("workspace_id", "pk", "event_types"):
        found.setdefault(workspace_id, []).append((endpoint_id, set(types)))
    return found
