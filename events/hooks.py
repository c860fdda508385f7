"""What the events app offers to the apps below it, and to its own catalogue."""

from core.admin.base import Alert, bounded_count, list_url, overdue
from events.event_types import EVENT_TYPES as MAILBOX_TYPES
from events.models import Event
from events.payloads.by_app import unlisted_types


def overdue_events() -> Alert:
    return Alert(
        "events are overdue: they have not been dispatched to subscribers",
        bounded_count(overdue(Event.objects.all())),
        list_url(Event, work="overdue"),
    )


def dead_lettered_events() -> Alert:
    return Alert(
        "events are dead-lettered: a subscriber failed every attempt",
        bounded_count(Event.objects.dead_lettered()),
        list_url(Event, work="dead-lettered"),
    )


ALERTS = [overdue_events, dead_lettered_events]
EVENT_TYPES = [*unlisted_types(), *MAILBOX_TYPES]
