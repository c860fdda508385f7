"""What events offer to the admin's overview, and the event types of mailboxes."""

from core.admin.base import Alert, bounded_count, list_url, overdue
from events import event_types
from events.models import Event


def overdue_events() -> Alert:
    return Alert(
        "events are overdue: they have not been dispatched to subscribers",
        bounded_count(overdue(Event.objects.all())),
        list_url(Event, work="overdue"),
        one="event is overdue: it has not been dispatched to subscribers",
    )


def dead_lettered_events() -> Alert:
    return Alert(
        "events are dead-lettered: a subscriber failed every attempt",
        bounded_count(Event.objects.dead_lettered()),
        list_url(Event, work="dead-lettered"),
        one="event is dead-lettered: a subscriber failed every attempt",
    )


ALERTS = [overdue_events, dead_lettered_events]
EVENT_TYPES = event_types.EVENT_TYPES
