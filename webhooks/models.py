"""Customers' endpoints, their deliveries, and every delivery attempt."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import TenantQuerySet, Workspace
from core.db.ids import uuid7
from core.queue.work import WorkItem, WorkQuerySet
from core.security.crypto import CiphertextField
from events.models import Event


class EndpointQuerySet(TenantQuerySet["Endpoint"]):
    def for_workspace(self, workspace: Workspace) -> Self:
        """Deleted endpoints are hidden while cleanup removes their rows."""
        return super().for_workspace(workspace).filter(deleted_at=None)

    def enabled(self) -> Self:
        return self.filter(status=Endpoint.Status.ENABLED, deleted_at=None)


class Endpoint(models.Model):
    """A customer's URL with its event types and signing keys."""

    class Status(models.TextChoices):
        ENABLED = "enabled"
        DISABLED = "disabled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    url = models.CharField(max_length=2048)
    description = models.CharField(max_length=500, blank=True)
    event_types = ArrayField(models.CharField(max_length=50))
    # Filters: only events about one of these are sent. An empty list means all.
    domain_ids = ArrayField(models.UUIDField(), default=list)
    pod_ids = ArrayField(models.UUIDField(), default=list)
    inbox_ids = ArrayField(models.UUIDField(), default=list)
    # Custom headers of every request: a JSON object, "" without any. Values can be secrets,
    # so only the names are shown.
    encrypted_headers = CiphertextField(blank=True, editable=False)
    header_names = ArrayField(models.CharField(max_length=100), default=list)
    # Requests per second; null means no limit.
    rate_limit = models.PositiveSmallIntegerField(null=True)

    encrypted_keyring = CiphertextField(editable=False)
    # Verifies v1a signatures; "" when v1a is off.
    public_key = models.CharField(max_length=60, blank=True, editable=False)

    status = models.CharField(max_length=10, choices=Status, default=Status.ENABLED)
    # Why OpenSend disabled it; empty when a person did.
    disabled_reason = models.CharField(max_length=200, blank=True)
    disabled_at = models.DateTimeField(null=True, editable=False)
    # From PROBE_AFTER consecutive failures on, the endpoint is probed with one request at a time,
    # the next at `probe_at` or later. `failing_since` is the first failure after the last success;
    # `failing_notified_at` is when `webhook.failing` was published about it.
    failures_in_a_row = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    failing_notified_at = models.DateTimeField(null=True, editable=False)
    probe_at = models.DateTimeField(null=True, editable=False)
    # Soft deletion: cleanup removes the deliveries first, then this row.
    deleted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        db_table = "webhook_endpoints"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["enabled", "disabled"]),
                name="webhook_endpoints_status_known",
            ),
            models.CheckConstraint(
                condition=Q(rate_limit=None) | Q(rate_limit__gte=1),
                name="webhook_endpoints_rate_limit_positive",
            ),
            models.CheckConstraint(
                condition=Q(deleted_at=None) | Q(status="disabled"),
                name="webhook_endpoints_deleted_is_disabled",
            ),
        ]
        indexes = [
            # For a workspace's list, and for the fan-out.
            models.Index(fields=["workspace", "-id"], name="webhook_endpoints_newest"),
            # For cleanup.
            models.Index(
                fields=["id"],
                name="webhook_endpoints_disabled",
                condition=Q(status="disabled"),
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def missed_since(self) -> datetime | None:
        """Since when a failing or disabled endpoint may have missed events."""
        return self.failing_since or self.disabled_at


class DeliveryQuerySet(WorkQuerySet["Delivery"]):
    pass


class Delivery(WorkItem):
    """One event for one endpoint. Due while it is pending and its endpoint enabled."""

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
    # Attempts made before the last replay, which restarts the retry schedule.
    attempts_before_replay = models.PositiveSmallIntegerField(default=0, db_default=0)
    last_status_code = models.PositiveSmallIntegerField(null=True)
    # Error of the last attempt; empty after a success and before the first attempt.
    last_error = models.CharField(max_length=50, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        db_table = "webhook_deliveries"
        verbose_name_plural = "deliveries"
        constraints = [
            # One delivery per event and endpoint, even if the event is dispatched twice.
            models.UniqueConstraint(fields=["endpoint", "event"], name="webhook_deliveries_once"),
            # `attempting` rows count against an endpoint's share of requests in flight, so a
            # finished delivery must not have that status.
            models.CheckConstraint(
                condition=Q(status__in=["pending", "attempting"], next_attempt_at__isnull=False)
                | Q(status__in=["success", "failed"], next_attempt_at__isnull=True),
                name="webhook_deliveries_due_iff_open",
            ),
        ]
        indexes = [
            # For claiming round-robin between endpoints; finished deliveries are not in it.
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
            # For an endpoint's last failures, and its failures in a time span.
            models.Index(
                fields=["endpoint", "-event"],
                name="webhook_deliveries_failing",
                condition=~Q(last_error=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event.type} to {self.endpoint.url}"


class Attempt(models.Model):
    """One request to an endpoint, or why it could not be sent."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    delivery = models.ForeignKey(
        Delivery, models.CASCADE, related_name="attempt_rows", db_index=False
    )
    number = models.PositiveSmallIntegerField()
    # Null when there was no response; `error` says why.
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
            # For a delivery's attempts.
            models.Index(fields=["delivery", "-id"], name="webhook_attempts_of"),
            # For retention.
            models.Index(fields=["at"], name="webhook_attempts_age"),
        ]

    def __str__(self) -> str:
        return f"#{self.number}: {self.status_code or self.error}"


class EndpointRateLimit(models.Model):
    """The token bucket of an endpoint with a rate limit, updated by claims.

    It has its own table because recording results locks endpoints, and claims must not wait
    for that.
    """

    endpoint = models.OneToOneField(
        Endpoint, models.CASCADE, primary_key=True, related_name="rate_bucket"
    )
    rate = models.PositiveSmallIntegerField()
    tokens = models.FloatField()
    filled_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "webhook_rate_limits"

    def __str__(self) -> str:
        return f"{self.rate} requests per second"


class EndpointHour(models.Model):
    """An endpoint's request counts and durations of one hour, summed as results are recorded."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="hours", db_index=False)
    hour = models.DateTimeField()
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    # Duration of all requests together, and of the slowest.
    total_ms = models.PositiveBigIntegerField(default=0)
    slowest_ms = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "webhook_endpoint_hours"
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "hour"], name="webhook_endpoint_hours_once"
            ),
        ]
        indexes = [
            # For retention.
            models.Index(fields=["hour"], name="webhook_endpoint_hours_age"),
        ]

    def __str__(self) -> str:
        total = self.succeeded + self.failed
        return f"{self.hour:%d %b %H:00}: {self.succeeded} of {total} succeeded"


class RecoveryQuerySet(WorkQuerySet["Recovery"]):
    pass


class Recovery(WorkItem):
    """Sends the events of a time span to an endpoint again. Due until the last batch is done.

    Batches follow the order of the event ids; `reached` is the last event processed.
    """

    class Only(models.TextChoices):
        FAILED = "failed"  # and events that the endpoint missed while it was disabled
        ALL = "all"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(
        Endpoint, models.CASCADE, related_name="recoveries", db_index=False
    )
    since = models.DateTimeField()
    until = models.DateTimeField()
    only = models.CharField(max_length=10, choices=Only)
    reached = models.UUIDField(null=True)
    recovered = models.PositiveIntegerField(default=0)
    # Why it stopped early.
    last_error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = RecoveryQuerySet.as_manager()

    class Meta:
        db_table = "webhook_recoveries"
        verbose_name_plural = "recoveries"
        constraints = [
            models.CheckConstraint(
                condition=Q(only__in=["failed", "all"]), name="webhook_recoveries_only_known"
            ),
            models.CheckConstraint(
                condition=Q(since__lt=models.F("until")), name="webhook_recoveries_span"
            ),
        ]
        indexes = [
            # For claiming unfinished recoveries.
            models.Index(
                fields=["next_attempt_at"],
                name="webhook_recoveries_due",
                condition=Q(next_attempt_at__isnull=False),
            ),
            # For an endpoint's list.
            models.Index(fields=["endpoint", "-id"], name="webhook_recoveries_of"),
        ]

    def __str__(self) -> str:
        return f"{self.only} from {self.since:%d %b %H:%M} to {self.until:%d %b %H:%M}"
