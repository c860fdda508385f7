"""Admin pages of published events, their dispatch state and errors."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from core.admin.actions import operator_action
from core.admin.base import BY_WORKSPACE, RecordAdmin, WorkFilter, json_block
from events import services
from events.models import Event


class EventWorkFilter(WorkFilter):
    conditions: ClassVar[Any] = WorkFilter.conditions | {
        "dead-lettered": (
            "Dead-lettered",
            lambda events: events.dead_lettered().order_by("-pk"),
        )
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
        ("shown_pending", "failed_attempts"),
        "last_error",
        "shown_body",
    ]
    readonly_fields = ["public_id", "shown_pending", "shown_body"]
    actions = ["dispatch_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        return super().get_queryset(request).defer("body")

    @admin.display(description="pending subscribers")
    def shown_pending(self, event: Event) -> str:
        return ", ".join(event.pending)

    @admin.display(description="body")
    def shown_body(self, event: Event) -> str:
        return json_block(event.body)

    @operator_action(
        "Dispatch again",
        done="will be dispatched again",
        consequence="The pending subscribers get them again; without any, all subscribers do."
        " Webhooks make no second delivery of an event.",
        columns=["next_attempt_at", "pending", "failed_attempts", "last_error"],
        on=lambda events: events.filter(next_attempt_at=None),
    )
    def dispatch_again(self, request: HttpRequest, events: list[Event]) -> int:
        return services.dispatch_again(events)
