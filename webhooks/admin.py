"""Customers' endpoints, what is owed to them, and every try at it."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from core.admin_base import (
    BY_WORKSPACE,
    Alert,
    BoundedFilter,
    Label,
    Panel,
    RecordAdmin,
    WorkFilter,
    alerts,
    as_uuid,
    bounded_count,
    labelled,
    link,
    list_url,
    overdue,
    picked,
    recent,
)
from events.admin import EventAdmin
from events.models import Event
from webhooks import services
from webhooks.models import Attempt, Delivery, Endpoint

SHOWN = 25


def failing(deliveries: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    return deliveries.filter(next_attempt_at__isnull=False, attempts__gt=0)


class EndpointFilter(BoundedFilter):
    title = "state"
    parameter_name = "state"
    # There are few endpoints beside all else, so their table may be read as a whole.
    questions: ClassVar[Any] = {
        "disabled": ("Disabled", lambda rows: rows.filter(status="disabled")),
        "enabled": ("Enabled", lambda rows: rows.filter(status="enabled")),
        "failing": ("Failing", lambda rows: rows.filter(failures_in_a_row__gt=0)),
    }


@admin.register(Endpoint)
class EndpointAdmin(RecordAdmin[Endpoint]):
    list_display = [
        "url",
        labelled("status"),
        "workspace",
        "event_types",
        "failures_in_a_row",
        "disabled_reason",
        "created_at",
    ]
    list_select_related = ["workspace"]
    list_filter = [EndpointFilter, BY_WORKSPACE]
    fields = [
        "url",
        ("workspace", "id"),
        ("status", "disabled_reason"),
        ("event_types", "description"),
        ("failures_in_a_row", "created_at"),
    ]
    actions = ["enable", "disable"]
    panels: ClassVar[Any] = []

    def find(self, term: str) -> Q:
        return super().find(term) | Q(url=term)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        return super().get_queryset(request).defer("encrypted_keyring")

    @admin.action(description="Enable", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self._set(request, queryset, Endpoint.Status.ENABLED)

    @admin.action(description="Disable", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self._set(request, queryset, Endpoint.Status.DISABLED)

    def _set(self, request: HttpRequest, queryset: QuerySet[Endpoint], status: str) -> None:
        others = list(queryset.exclude(status=status))
        for endpoint in others:
            services.update_endpoint(endpoint, {"status": status})
        self.say(request, len(others), status)


class DeliveryFilter(WorkFilter):
    questions: ClassVar[Any] = WorkFilter.questions | {
        "failing": ("Failing", failing),
        "failed": ("Given up, among the newest", lambda rows: recent(rows, Q(status="failed"))),
    }


@admin.register(Delivery)
class DeliveryAdmin(RecordAdmin[Delivery]):
    list_display = [
        "id",
        labelled("status"),
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
    actions = ["deliver_now"]
    panels: ClassVar[Any] = []

    def find(self, term: str) -> Q:
        found = super().find(term)
        if (identifier := as_uuid(term)) is None:
            return found
        return found | Q(event=identifier)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        deliveries = super().get_queryset(request).select_related("endpoint", "event")
        return deliveries.defer("endpoint__encrypted_keyring", "event__body")

    @admin.display(description="endpoint")
    def endpoint_url(self, delivery: Delivery) -> str:
        return delivery.endpoint.url

    @admin.display(description="event")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.type

    @admin.action(description="Deliver now", permissions=["operate"])
    def deliver_now(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self.say(request, services.deliver_now(picked(queryset)), "will be tried now")


@admin.register(Attempt)
class AttemptAdmin(RecordAdmin[Attempt]):
    list_display = ["delivery_id", "number", "status_code", "error", "duration_ms", "at"]
    raw_id_fields = ["delivery"]

    def find(self, term: str) -> Q:
        found = super().find(term)
        if (identifier := as_uuid(term)) is None:
            return found
        return found | Q(delivery=identifier)


def _attempts(delivery: Delivery) -> Panel:
    rows = [
        [
            attempt.number,
            attempt.at,
            attempt.status_code or Label(attempt.error),
            f"{attempt.duration_ms} ms",
            attempt.response or attempt.message,
            attempt.address,
        ]
        for attempt in delivery.tries.order_by("-pk")[:SHOWN]
    ]
    headers = ["Attempt", "At", "Answer", "Took", "Body", "Address"]
    return Panel("Attempts", headers, rows, empty="None yet.")


def _latest_deliveries(endpoint: Endpoint) -> Panel:
    # By event: its ids are in the order of time and in the unique index behind the endpoint.
    latest = endpoint.deliveries.select_related("event").defer("event__body").order_by("-event_id")
    deliveries = list(latest[:SHOWN])
    last = _last_attempts(deliveries)
    rows = [
        [
            link(delivery, delivery.event.type),
            Label(delivery.status),
            delivery.created_at,
            delivery.attempts,
            delivery.last_status_code or delivery.last_error,
            last.get(delivery.pk, ""),
        ]
        for delivery in deliveries
    ]
    headers = ["Event", "Status", "Created", "Attempts", "Last answer", "Body"]
    return Panel("Last deliveries", headers, rows, empty="None yet.")


def _last_attempts(deliveries: list[Delivery]) -> dict[Any, str]:
    tries = Attempt.objects.filter(delivery__in=[delivery.pk for delivery in deliveries])
    newest = tries.order_by("delivery_id", "-pk").distinct("delivery_id")
    return {attempt.delivery_id: attempt.response or attempt.message for attempt in newest}


def _deliveries_of(event: Event) -> Panel:
    owed = Delivery.objects.filter(event=event.pk).select_related("endpoint")
    rows = [
        [
            link(delivery, delivery.endpoint.url),
            Label(delivery.status),
            delivery.attempts,
            delivery.last_status_code or delivery.last_error,
            delivery.next_attempt_at,
        ]
        for delivery in owed.defer("endpoint__encrypted_keyring")[:SHOWN]
    ]
    headers = ["Endpoint", "Status", "Attempts", "Last answer", "Next attempt"]
    return Panel("Deliveries", headers, rows, empty="No endpoint asked for it.")


EndpointAdmin.panels.append(_latest_deliveries)
DeliveryAdmin.panels.append(_attempts)
EventAdmin.panels.append(_deliveries_of)
alerts.append(
    lambda: Alert(
        "endpoints are disabled",
        bounded_count(Endpoint.objects.filter(status=Endpoint.Status.DISABLED)),
        list_url(Endpoint, state="disabled"),
    )
)
alerts.append(
    lambda: Alert(
        "deliveries are overdue",
        bounded_count(overdue(Delivery.objects.all())),
        list_url(Delivery, work="overdue"),
    )
)
