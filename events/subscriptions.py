"""Who hears of events: functions that take a batch and may only write rows."""

from collections.abc import Callable, Sequence

from events.models import Event

Subscriber = Callable[[Sequence[Event]], None]

subscribers: list[Subscriber] = []


def subscribe(subscriber: Subscriber) -> None:
    if subscriber not in subscribers:
        subscribers.append(subscriber)
