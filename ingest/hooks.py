"""Alerts about callbacks, and the callbacks on an email's admin page."""

from core.admin.base import Alert, Badge, Panel, bounded_count, link, list_url, overdue
from emails.models import Email
from ingest.models import ProviderEvent

Kind, State = ProviderEvent.Kind, ProviderEvent.State
_MAX_ROWS = 100


def quarantined() -> Alert:
    return Alert(
        "callbacks are quarantined: they could not be processed, or their recipient is unknown",
        bounded_count(ProviderEvent.objects.in_state(State.QUARANTINED)),
        list_url(ProviderEvent, odd="quarantined"),
        "danger",
        one="callback is quarantined: it could not be processed",
    )


def unmatched() -> Alert:
    return Alert(
        "callbacks match no email",
        bounded_count(ProviderEvent.objects.unmatched_given_up()),
        list_url(ProviderEvent, odd="left"),
        one="callback matches no email",
    )


def unsubscribed() -> Alert:
    return Alert(
        "SNS subscriptions were deleted: their events no longer arrive",
        bounded_count(ProviderEvent.objects.of_kind(Kind.UNSUBSCRIBED)),
        list_url(ProviderEvent, odd="unsubscribed"),
        "danger",
        one="SNS subscription was deleted: its events no longer arrive",
    )


def unprocessed() -> Alert:
    return Alert(
        "callbacks are overdue",
        bounded_count(overdue(ProviderEvent.objects.all())),
        list_url(ProviderEvent, work="overdue"),
        one="callback is overdue",
    )


def callbacks_panel(email: Email) -> Panel:
    rows = [
        [link(row, row.event_id), row.type, Badge(row.state), row.received_at]
        for row in ProviderEvent.objects.filter(email_id=email.pk)
        .defer("body")
        .order_by("received_at")[:_MAX_ROWS]
    ]
    return Panel("Provider callbacks", ["MessageId", "Type", "State", "Received"], rows)


ALERTS = [quarantined, unmatched, unsubscribed, unprocessed]
ADMIN_SECTIONS = [("emails.Email", callbacks_panel)]
