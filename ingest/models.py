"""Callbacks that providers posted, stored unchanged, with their processing state."""

from typing import Self
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.db.ids import uuid7
from core.queue.work import WorkItem, WorkQuerySet


class ProviderEventQuerySet(WorkQuerySet["ProviderEvent"]):
    """Selections for operators, newest first, each served by a partial index."""

    def in_state(self, state: str) -> Self:
        return self.filter(state=state).order_by("-pk")

    def unmatched_given_up(self) -> Self:
        return self.in_state(ProviderEvent.State.UNMATCHED).filter(next_attempt_at=None)

    def of_kind(self, kind: str) -> Self:
        # The exclude() is redundant, but the partial index needs its condition.
        rows = self.exclude(kind=ProviderEvent.Kind.NOTIFICATION)
        return rows.filter(kind=kind).order_by("-pk")


class ProviderEvent(WorkItem):
    """One callback, committed before its HTTP response. Due until processed or given up."""

    class Kind(models.TextChoices):
        NOTIFICATION = "notification"
        CONTROL = "control", "control message"
        SUBSCRIPTION_CONFIRMED = "subscription_confirmed", "subscription confirmed"
        UNSUBSCRIBED = "unsubscribed"

    class State(models.TextChoices):
        RECEIVED = "received"
        PROCESSED = "processed"
        UNMATCHED = "unmatched"  # its email does not exist here (yet)
        QUARANTINED = "quarantined"  # could not be parsed or recorded
        NOTED = "noted"  # needs no processing

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.CharField(max_length=30)
    # The provider's message id. It is the same in each SNS retry, so it identifies duplicates.
    event_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=30, choices=Kind, default=Kind.NOTIFICATION)
    topic_arn = models.CharField(max_length=300, blank=True)
    # The posted body, unchanged.
    body = models.TextField()
    state = models.CharField(max_length=20, choices=State, default=State.RECEIVED)
    reason = models.CharField(max_length=500, blank=True)
    type = models.CharField(max_length=40, blank=True)
    # An id instead of a foreign key, because a callback may outlive its email.
    email_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    request_id = models.CharField(max_length=128, blank=True)
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    processed_at = models.DateTimeField(null=True, editable=False)

    objects = ProviderEventQuerySet.as_manager()

    class Meta:
        db_table = "provider_events"
        verbose_name = "provider callback"
        constraints = [
            models.UniqueConstraint(fields=["source", "event_id"], name="provider_events_once"),
            models.CheckConstraint(
                condition=Q(state__in=["received", "unmatched"])
                | Q(state__in=["processed", "quarantined", "noted"], next_attempt_at__isnull=True),
                name="provider_events_due_only_if_open",
            ),
        ]
        indexes = [
            # For claiming from one source: contains unfinished rows only.
            models.Index(
                fields=["source", "next_attempt_at"],
                name="provider_events_due",
                condition=Q(next_attempt_at__isnull=False),
            ),
            # For the admin filter of failed callbacks.
            models.Index(
                fields=["state", "-id"],
                name="provider_events_failed",
                condition=Q(state__in=["unmatched", "quarantined"]),
            ),
            models.Index(
                fields=["kind", "-id"],
                name="provider_events_control",
                condition=~Q(kind="notification"),
            ),
            models.Index(
                fields=["email_id"],
                name="provider_events_of_email",
                condition=Q(email_id__isnull=False),
            ),
            # For retention.
            models.Index(fields=["received_at"], name="provider_events_age"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.type or self.kind} {self.event_id}"
