"""Admin pages for deliveries and attempts."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from core.admin.base import (
    RecordAdmin,
    WorkFilter,
    among_newest,
    as_uuid,
    badge_column,
    overdue,
    selected,
)
from webhooks import replay, services
from webhooks.admin.sections import ENDPOINT_SECRETS, attempts
from webhooks.dispatch.backlog import waiting_endpoints
from webhooks.models import Attempt, Delivery

_REPLAY_CONSEQUENCE = (
    "Each is sent immediately with the same event id, even if it was received before."
    " Deliveries of disabled endpoints and deliveries in flight are skipped."
)


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

    @admin.action(description="Deliver now", permissions=["operate"])
    def deliver_now(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self.report_count(
            request, services.deliver_now(selected(queryset)), "will be attempted now"
        )

    @admin.action(description="Replay", permissions=["operate"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        deliveries = selected(queryset)
        if len(deliveries) > 1:
            question = f"Send {len(deliveries):,} deliveries again?"
            if confirmation := self.confirm(request, question, _REPLAY_CONSEQUENCE):
                return confirmation
        self.report_count(request, replay.replay(deliveries), "will be sent again")
        return None


@admin.register(Attempt)
class AttemptAdmin(RecordAdmin[Attempt]):
    list_display = ["delivery_id", "number", "status_code", "error", "duration_ms", "at"]
    raw_id_fields = ["delivery"]

    def find(self, term: str) -> Q:
        query = super().find(term)
        if (identifier := as_uuid(term)) is None:
            return query
        return query | Q(delivery=identifier)
