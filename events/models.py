"""The outbox and the public record of what happened."""

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
    """One fact, with the bytes that tell it to the outside.

    A row is due until its subscribers have heard of it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    type = models.CharField(max_length=50)
    # The envelope as JSON, serialised once: what is signed and sent in every attempt.
    body = models.TextField()
    request_id = models.CharField(max_length=128, blank=True)
    # What the event is about, for endpoints that ask for some only. These live on other floors,
    # so they are ids and no foreign keys.
    domain_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    pod_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    inbox_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        db_table = "events"
        indexes = [
            # For claiming what subscribers have not heard of; heard events are not in it.
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
        """The payload, parsed anew, whichever envelope it is in."""
        return data_of(self.body)
