"""What providers told us, word for word, and how far we got with it."""

from typing import Any, ClassVar

import orjson
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from core.admin.base import (
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
    pretty,
)
from emails.admin import EmailAdmin
from emails.models import Email
from ingest import services
from ingest.models import ProviderEvent

Kind, State = ProviderEvent.Kind, ProviderEvent.State
HIDDEN = {"unsubscribeurl", "subscribeurl", "token"}
SHOWN = 100


def in_state(state: str) -> "QuerySet[ProviderEvent]":
    return ProviderEvent.objects.filter(state=state).order_by("-pk")


def left_unmatched() -> "QuerySet[ProviderEvent]":
    return in_state(State.UNMATCHED).filter(next_attempt_at=None)


def of_kind(kind: str) -> "QuerySet[ProviderEvent]":
    # Said twice for the partial index, whose condition is that it isn't a notification.
    return ProviderEvent.objects.exclude(kind=Kind.NOTIFICATION).filter(kind=kind).order_by("-pk")


class OddFilter(BoundedFilter):
    title = "attention"
    parameter_name = "odd"
    questions: ClassVar[Any] = {
        "quarantined": ("Quarantined", lambda rows: in_state(State.QUARANTINED)),
        "unmatched": ("Unmatched", lambda rows: in_state(State.UNMATCHED)),
        "left": ("Unmatched and left", lambda rows: left_unmatched()),
        "control": ("Control messages", lambda rows: of_kind(Kind.CONTROL)),
        "confirmed": ("Subscriptions", lambda rows: of_kind(Kind.SUBSCRIPTION_CONFIRMED)),
        "unsubscribed": ("Unsubscribed topics", lambda rows: of_kind(Kind.UNSUBSCRIBED)),
    }


@admin.register(ProviderEvent)
class ProviderEventAdmin(RecordAdmin[ProviderEvent]):
    list_display = [
        "event_id",
        "type",
        "kind",
        labelled("state"),
        "reason",
        "received_at",
        "processed_at",
    ]
    list_filter = [OddFilter, WorkFilter]
    search_help_text = "MessageId, our id or an email's id, in full"
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
        found = Q(source=services.SES, event_id=term.lower())
        if (identifier := as_uuid(term)) is not None:
            found |= Q(pk=identifier) | Q(email_id=identifier)
        return found

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
        return pretty(sanitised(row.body))

    @admin.action(description="Process again", permissions=["operate"])
    def reprocess(self, request: HttpRequest, queryset: QuerySet[ProviderEvent]) -> None:
        self.say(request, services.reprocess(queryset), "will be processed again")


def sanitised(body: str) -> Any:
    """The body without what would let its reader cancel or confirm a subscription."""
    try:
        told = orjson.loads(body)
        if isinstance(told, dict) and isinstance(told.get("Message"), str):
            told |= {"Message": sanitised(told["Message"])}  # SES's JSON inside SNS's
        return _without_secrets(told)
    except orjson.JSONDecodeError:
        return _cut(body)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: "[hidden]" if name.lower() in HIDDEN else _without_secrets(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    return _cut(value) if isinstance(value, str) else value


def _cut(text: str) -> str:
    """SNS puts its addresses into plain texts as well, in lines of their own."""
    lines = text.split("\n")
    return "\n".join("[hidden]" if _is_lever(line) else line for line in lines)


def _is_lever(line: str) -> bool:
    folded = line.lower()
    return "action=unsubscribe" in folded or "action=confirmsubscription" in folded


def _callbacks(email: Email) -> Panel:
    rows = [
        [link(row, row.event_id), row.type, Label(row.state), row.received_at]
        for row in ProviderEvent.objects.filter(email_id=email.pk)
        .defer("body")
        .order_by("received_at")[:SHOWN]
    ]
    return Panel("Provider callbacks", ["MessageId", "Type", "State", "Received"], rows)


EmailAdmin.panels.append(_callbacks)
alerts.append(
    lambda: Alert(
        "callbacks are quarantined: they were not understood",
        bounded_count(in_state(State.QUARANTINED)),
        list_url(ProviderEvent, odd="quarantined"),
        "danger",
    )
)
alerts.append(
    lambda: Alert(
        "callbacks belong to no email here",
        bounded_count(left_unmatched()),
        list_url(ProviderEvent, odd="left"),
    )
)
alerts.append(
    lambda: Alert(
        "messages say that a topic was unsubscribed: its events no longer reach us",
        bounded_count(of_kind(Kind.UNSUBSCRIBED)),
        list_url(ProviderEvent, odd="unsubscribed"),
        "danger",
    )
)
alerts.append(
    lambda: Alert(
        "callbacks are overdue",
        bounded_count(overdue(ProviderEvent.objects.all())),
        list_url(ProviderEvent, work="overdue"),
    )
)
