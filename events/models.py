"""The event outbox, which is also the public record of events."""

from collections.abc import Sequence
from typing import Any, Self
from uuid import UUID

from django.db import models
from django.db.models import Q, Value
from django.utils import timezone

from accounts.models import Workspace
from core.db.ids import uuid7
from core.queue.work import WorkItem, WorkQuerySet
from events.envelopes import data_of


class EventQuerySet(WorkQuerySet["Event"]):
    def dead_lettered(self) -> Self:
        """Events that some subscriber failed until they ran out of attempts."""
        return self.filter(next_attempt_at=None).exclude(pending=[])

    def lock_claimed(self, events: Sequence["Event"]) -> "list[Event]":
        """Lock the claimed events that are still ours until the transaction ends.

        An event that somebody else has locked is another worker's by now, so nobody waits. The
        lock is weak enough for inserts of rows that refer to the event.
        """
        locked = (
            self.filter(pk__in=[event.pk for event in events], next_attempt_at__isnull=False)
            .select_for_update(no_key=True, skip_locked=True)
            .values_list("pk", "claims")
        )
        claims = dict(locked)
        return [event for event in events if claims.get(event.pk) == event.claims]


class Event(WorkItem):
    """One published fact, with the body that webhooks send.

    A row is due while any subscriber is pending. A finished row that still has some is
    dead-lettered.
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
    # Names of the subscribers that have not handled the event yet. JSON instead of an array,
    # because a bulk UPDATE carries each column as an array itself (core.db.bulk).
    pending: "models.JSONField[list[str], list[str]]" = models.JSONField(
        default=list, db_default=Value([], models.JSONField()), editable=False
    )
    # Dispatches in a row in which some subscriber failed. Unlike `claims`, no crash counts.
    failed_attempts = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
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
            # For operators: contains dead-lettered events only.
            models.Index(
                fields=["id"],
                name="events_dead_lettered",
                condition=Q(next_attempt_at=None) & ~Q(pending=[]),
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
