"""Who hears of events: functions that take a batch and may only write rows."""

from collections.abc import Callable, Sequence

from django.db.models import Expression

from events.models import Event

Subscriber = Callable[[Sequence[Event]], None]

subscribers: list[Subscriber] = []
reasons_to_keep: list[Expression] = []


def subscribe(subscriber: Subscriber) -> None:
    if subscriber not in subscribers:
        subscribers.append(subscriber)


def keep_while(needed: Expression) -> None:
    """An event for which this holds outlives its retention."""
    if needed not in reasons_to_keep:
        reasons_to_keep.append(needed)
