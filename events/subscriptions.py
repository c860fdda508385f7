"""The subscribers of events. Apps list them in their hooks (`SUBSCRIBERS`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from django.core.exceptions import ImproperlyConfigured

from core import hooks
from events.models import Event


@dataclass(frozen=True)
class Subscriber:
    """Handles batches of events after they are published.

    `handle` runs in a transaction and may only write rows: it may run again for the same events
    until it succeeds, and then never again. `name` is stored with events that wait for it, so it
    must not change: `webhooks.fan_out`. `types` restricts the event types, None means all.
    """

    name: str
    handle: Callable[[Sequence[Event]], None]
    types: frozenset[str] | None = None

    def wants(self, type_name: str) -> bool:
        return self.types is None or type_name in self.types


@cache
def subscribers() -> tuple[Subscriber, ...]:
    """All subscribers, in the order in which they handle a batch."""
    found: list[Subscriber] = hooks.collect("SUBSCRIBERS")
    names = [subscriber.name for subscriber in found]
    if len(set(names)) < len(names):
        raise ImproperlyConfigured(f"Names of subscribers must be unique: {names}")
    return tuple(found)


def subscriber_names(type_name: str) -> list[str]:
    """The names of the subscribers that want events of this type."""
    return [subscriber.name for subscriber in subscribers() if subscriber.wants(type_name)]
