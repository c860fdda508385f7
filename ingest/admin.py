"""Admin pages of provider callbacks: their bodies and processing state."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from core.admin.base import (
    BoundedFilter,
    RecordAdmin,
    WorkFilter,
    as_uuid,
    badge_column,
    json_block,
    link,
)
from core.db import json_values
from emails.models import Email
from ingest import queues, services
from ingest.models import ProviderEvent

Kind, State = ProviderEvent.Kind, ProviderEvent.State
HIDDEN = {"unsubscribeurl", "subscribeurl", "token"}


class AttentionFilter(BoundedFilter):
    title = "attention"
    parameter_name = "odd"
    conditions: ClassVar[Any] = {
        "quarantined": ("Quarantined", lambda rows: rows.in_state(State.QUARANTINED)),
        "unmatched": ("Unmatched", lambda rows: rows.in_state(State.UNMATCHED)),
        "left": ("Unmatched, given up", lambda rows: rows.unmatched_given_up()),
        "control": ("Control messages", lambda rows: rows.of_kind(Kind.CONTROL)),
        "confirmed": (
            "Confirmed subscriptions",
            lambda rows: rows.of_kind(Kind.SUBSCRIPTION_CONFIRMED),
        ),
        "unsubscribed": ("Deleted subscriptions", lambda rows: rows.of_kind(Kind.UNSUBSCRIBED)),
    }


@admin.register(ProviderEvent)
class ProviderEventAdmin(RecordAdmin[ProviderEvent]):
    list_display = [
        "event_id",
        "type",
        "kind",
        badge_column("state"),
        "reason",
        "received_at",
        "processed_at",
    ]
    list_filter = [AttentionFilter, WorkFilter]
    search_help_text = "Full SNS MessageId, callback id or email id"
    fields = [
        ("state", "reason"),
        ("kind", "type"),
        ("about_email", "topic_arn"),
        ("source", "event_id"),
        ("id", "request_id"),
        ("received_at", "processed_at"),
        ("claims", "crashes"),
        "next_attempt_at",
        "shown_body",
    ]
    readonly_fields = ["about_email", "shown_body"]
    actions = ["reprocess"]

    def find(self, term: str) -> Q:
        condition = Q(source=queues.SES, event_id=term.lower())
        if (identifier := as_uuid(term)) is not None:
            condition |= Q(pk=identifier) | Q(email_id=identifier)
        return condition

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderEvent]:
        return super().get_queryset(request).defer("body")

    @admin.display(description="email")
    def about_email(self, row: ProviderEvent) -> str:
        if row.email_id is None:
            return "-"
        email = Email.objects.without_content().filter(pk=row.email_id).first()
        return link(email) if email else str(row.email_id)

    @admin.display(description="body")
    def shown_body(self, row: ProviderEvent) -> str:
        return json_block(redacted(row.body))

    @admin.action(description="Reprocess", permissions=["operate"])
    def reprocess(self, request: HttpRequest, queryset: QuerySet[ProviderEvent]) -> None:
        self.report_count(request, services.reprocess(queryset), "will be reprocessed")


def redacted(body: str) -> Any:
    """Redact what would let a reader confirm or delete an SNS subscription."""
    try:
        fields = json_values.loads(body)
        if isinstance(fields, dict) and isinstance(fields.get("Message"), str):
            fields |= {"Message": redacted(fields["Message"])}  # the SES event as JSON text
        return _redact(fields)
    except (ValueError, RecursionError):  # no JSON, or nested hundreds of levels deep
        return _redact_urls(body)


def _redact(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: "[hidden]" if name.lower() in HIDDEN else _redact(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_redact(each) for each in value]
    return _redact_urls(value) if isinstance(value, str) else value


def _redact_urls(text: str) -> str:
    """SNS also puts these URLs into plain text, each on a line of its own."""
    lines = text.split("\n")
    return "\n".join("[hidden]" if _has_subscription_url(line) else line for line in lines)


def _has_subscription_url(line: str) -> bool:
    folded = line.lower()
    return "action=unsubscribe" in folded or "action=confirmsubscription" in folded
