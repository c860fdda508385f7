"""Admin pages for deliveries and attempts."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from core.admin.actions import Outcome, operator_action
from core.admin.base import (
    RecordAdmin,
    WorkFilter,
    among_newest,
    as_uuid,
    badge_column,
    overdue,
)
from webhooks import replay, services
from webhooks.admin.sections import ENDPOINT_SECRETS, attempts
from webhooks.dispatch.backlog import waiting_endpoints
from webhooks.models import Attempt, Delivery, Endpoint

# What an action changes of a delivery.
_STATE = ("status", "next_attempt_at")


def failing(deliveries: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    return deliveries.filter(next_attempt_at__isnull=False, attempts__gt=0)


def late_deliveries(deliveries: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    """Overdue by our own fault: not those that wait for their endpoint."""
    return overdue(deliveries.exclude(endpoint__in=waiting_endpoints()))


class DeliveryFilter(WorkFilter):
    conditions: ClassVar[Any] = WorkFilter.conditions | {
        "overdue": ("Overdue", late_deliveries),
        "failing": ("Failing", failing),
        "failed": ("Failed, among the newest", lambda rows: among_newest(rows, Q(status="failed"))),
    }


@admin.register(Delivery)
class DeliveryAdmin(RecordAdmin[Delivery]):
    list_display = [
        "id",
        badge_column("status"),
        "endpoint_url",
        "event_type",
        "attempts",
        "last_status_code",
        "last_error",
        "next_attempt_at",
    ]
    list_filter = [DeliveryFilter]
    fields = [
        ("endpoint", "event"),
        ("status", "id"),
        ("last_status_code", "last_error"),
        ("attempts", "next_attempt_at"),
        "created_at",
    ]
    actions = ["deliver_now", "replay"]
    bottom_panels: ClassVar[Any] = (attempts,)
    search_help_text = "Full id of a delivery or its event"

    def find(self, term: str) -> Q:
        query = super().find(term)
        if (identifier := as_uuid(term)) is None:
            return query
        return query | Q(event=identifier)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        deliveries = super().get_queryset(request).select_related("endpoint", "event")
        return deliveries.defer(*ENDPOINT_SECRETS, "event__body")

    @admin.display(description="endpoint")
    def endpoint_url(self, delivery: Delivery) -> str:
        return delivery.endpoint.url

    @admin.display(description="event")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.type

    @operator_action(
        "Deliver now",
        done="will be attempted now",
        consequence="They go ahead of all others of their endpoints."
        " A half-open endpoint is probed with one of them.",
        columns=_STATE,
        on=lambda rows: rows.filter(status=Delivery.Status.PENDING),
    )
    def deliver_now(self, request: HttpRequest, deliveries: list[Delivery]) -> Outcome:
        result = services.deliver_now(deliveries)
        return Outcome(result.attempted, list(_reasons(result)))

    @operator_action(
        "Replay",
        done="will be sent again",
        consequence="Each is sent immediately with the same event id, even if it was received"
        " before. Deliveries of disabled endpoints and deliveries in flight are skipped.",
        columns=_STATE,
        on=lambda rows: rows.filter(endpoint__in=Endpoint.objects.enabled()).exclude(
            status=Delivery.Status.ATTEMPTING
        ),
    )
    def replay(self, request: HttpRequest, deliveries: list[Delivery]) -> int:
        return replay.replay(deliveries)


def _reasons(result: services.DeliverNow) -> Iterator[str]:
    """Why some are not attempted now."""
    if count := result.behind_probe:
        yield (
            f"{count:,} wait for the result of a probe, and are next after it:"
            " a half-open endpoint gets one request at a time."
        )
    if count := result.disabled:
        yield f"{count:,} cannot be attempted: their endpoint is disabled. Enable it first."


@admin.register(Attempt)
class AttemptAdmin(RecordAdmin[Attempt]):
    list_display = ["delivery_id", "number", "status_code", "error", "duration_ms", "at"]
    raw_id_fields = ["delivery"]
    search_help_text = "Full id of an attempt or its delivery"

    def find(self, term: str) -> Q:
        query = super().find(term)
        if (identifier := as_uuid(term)) is None:
            return query
        return query | Q(delivery=identifier)
