"""The event outbox, which is also the public record of events."""

from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Workspace
from core.db.ids import uuid7
from core.queue.work import WorkItem, WorkQuerySet
from events.envelopes import data_of


class EventQuerySet(WorkQuerySet["Event"]):
    pass


class Event(WorkItem):
    """One published fact, with the body that webhooks send.

    A row is due until it has been dispatched to the subscribers.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    type = models.CharField(max_length=50)
    # The envelope as JSON, serialized once: these bytes are signed and sent in every attempt.
    body = models.TextField()
    request_id = models.CharField(max_length=128, blank=True)
    # For endpoints that filter events by domain, pod or inbox. Ids instead of foreign keys,
    # because those models belong to apps above this one.
    domain_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    pod_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    inbox_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        db_table = "events"
        indexes = [
            # For claiming: contains undispatched events only.
            models.Index(
                fields=["next_attempt_at"],
                name="events_due",
                condition=Q(next_attempt_at__isnull=False),
            ),
            # For a workspace's newest-first list.
            models.Index(fields=["workspace", "-id"], name="events_newest"),
            # For retention.
            models.Index(fields=["created_at"], name="events_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"

    @property
    def public_id(self) -> str:
        return f"whd_{self.pk}"

    def data(self) -> dict[str, Any]:
        """Parse the payload out of the body."""
        return data_of(self.body)
