"""Admin pages of published events, their dispatch state and errors."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from core.admin.base import (
    BY_WORKSPACE,
    Alert,
    RecordAdmin,
    WorkFilter,
    alerts,
    bounded_count,
    list_url,
    overdue,
    picked,
    pretty,
    recent,
)
from events import services
from events.models import Event


def dead_lettered(events: "QuerySet[Event]") -> "QuerySet[Event]":
    return recent(events, Q(next_attempt_at=None) & ~Q(last_error=""))


class EventWorkFilter(WorkFilter):
    questions: ClassVar[Any] = WorkFilter.questions | {
        "dead-lettered": ("Dead-lettered, among the newest", dead_lettered)
    }


@admin.register(Event)
class EventAdmin(RecordAdmin[Event]):
    list_display = ["type", "workspace", "created_at", "next_attempt_at", "last_error", "id"]
    list_select_related = ["workspace"]
    list_filter = [EventWorkFilter, BY_WORKSPACE]
    fields = [
        ("type", "workspace"),
        ("public_id", "request_id"),
        ("created_at", "next_attempt_at"),
        ("claims", "crashes"),
        "last_error",
        "shown_body",
    ]
    readonly_fields = ["public_id", "shown_body"]
    actions = ["dispatch_again"]
    panels: ClassVar[Any] = []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        return super().get_queryset(request).defer("body")

    @admin.display(description="body")
    def shown_body(self, event: Event) -> str:
        return pretty(event.body)

    @admin.action(description="Dispatch again", permissions=["operate"])
    def dispatch_again(self, request: HttpRequest, queryset: QuerySet[Event]) -> None:
        self.say(request, services.dispatch_again(picked(queryset)), "will be dispatched again")


alerts.append(
    lambda: Alert(
        "events are overdue: they have not been dispatched to subscribers",
        bounded_count(overdue(Event.objects.all())),
        list_url(Event, work="overdue"),
    )
)
