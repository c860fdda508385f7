"""Where customers want to hear of events, what is owed to them, and every try at it."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Workspace
from core import crypto
from core.ids import uuid7
from core.work import WorkItem, WorkQuerySet
from events.models import Event


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def for_workspace(self, workspace: Workspace) -> Self:
        return self.filter(workspace=workspace)

    def enabled(self) -> Self:
        return self.filter(status=Endpoint.Status.ENABLED)


class Endpoint(models.Model):
    """A customer's URL with the types it asks for and the secret that signs for it."""

    class Status(models.TextChoices):
        ENABLED = "enabled"
        DISABLED = "disabled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    url = models.CharField(max_length=2048)
    description = models.CharField(max_length=500, blank=True)
    event_types = ArrayField(models.CharField(max_length=50))
    status = models.CharField(max_length=10, choices=Status, default=Status.ENABLED)
    # Why it is disabled, when that was not asked for.
    disabled_reason = models.CharField(max_length=200, blank=True)
    encrypted_secret = models.TextField(editable=False)
    # Timeouts in a row: from five on the endpoint is probed with one request at a time.
    timeouts_in_a_row = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        db_table = "webhook_endpoints"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["enabled", "disabled"]),
                name="webhook_endpoints_status_known",
            ),
        ]
        indexes = [
            # For a workspace's list, and for finding who hears an event.
            models.Index(fields=["workspace", "-id"], name="webhook_endpoints_newest"),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def secret(self) -> str:
        return crypto.decrypt(self.encrypted_secret)


class DeliveryQuerySet(WorkQuerySet["Delivery"]):
    pass


class Delivery(WorkItem):
    """One event owed to one endpoint. Due while it is pending and its endpoint enabled."""

    class Status(models.TextChoices):
        PENDING = "pending"
        ATTEMPTING = "attempting"
        SUCCESS = "success"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(
        Endpoint, models.CASCADE, related_name="deliveries", db_index=False
    )
    event = models.ForeignKey(Event, models.CASCADE, related_name="+")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    last_status_code = models.PositiveSmallIntegerField(null=True)
    last_error = models.CharField(max_length=50, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        db_table = "webhook_deliveries"
        verbose_name_plural = "deliveries"
        constraints = [
            # An event is owed to an endpoint once, however often its subscribers hear it.
            models.UniqueConstraint(fields=["endpoint", "event"], name="webhook_deliveries_once"),
            # `attempting` is what is counted against an endpoint's share of requests in
            # flight, so nothing finished may bear it.
            models.CheckConstraint(
                condition=Q(status__in=["pending", "attempting"], next_attempt_at__isnull=False)
                | Q(status__in=["success", "failed"], next_attempt_at__isnull=True),
                name="webhook_deliveries_due_iff_open",
            ),
        ]
        indexes = [
            # For claiming by turns between endpoints; finished deliveries are not in it.
            models.Index(
                fields=["endpoint", "next_attempt_at"],
                name="webhook_deliveries_due",
                condition=Q(next_attempt_at__isnull=False),
            ),
            # For counting an endpoint's requests in flight.
            models.Index(
                fields=["endpoint"],
                name="webhook_deliveries_in_flight",
                condition=Q(status="attempting"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.endpoint_id}"


class Attempt(models.Model):
    """One request to an endpoint, or the reason why there was none."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="tries", db_index=False)
    number = models.PositiveSmallIntegerField()
    # Null when no answer came; `error` says why.
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=50, blank=True)
    message = models.CharField(max_length=500, blank=True)
    response = models.CharField(max_length=1000, blank=True)
    address = models.CharField(max_length=45, blank=True)
    duration_ms = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        db_table = "webhook_attempts"
        indexes = [
            # For the attempts of one delivery.
            models.Index(fields=["delivery", "-id"], name="webhook_attempts_of"),
            # For retention.
            models.Index(fields=["at"], name="webhook_attempts_age"),
        ]

    def __str__(self) -> str:
        return f"#{self.number}: {self.status_code or self.error}"
