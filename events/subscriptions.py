"""The subscribers of events: functions that take a batch and may only write rows."""

from collections.abc import Callable, Sequence

from django.db.models import Expression

from events.models import Event

Subscriber = Callable[[Sequence[Event]], None]

subscribers: list[Subscriber] = []
retention_conditions: list[Expression] = []


def subscribe(subscriber: Subscriber) -> None:
    if subscriber not in subscribers:
        subscribers.append(subscriber)


def keep_while(needed: Expression) -> None:
    """Exempt events for which this expression is true from the retention purge."""
    if needed not in retention_conditions:
        retention_conditions.append(needed)
