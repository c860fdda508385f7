"""Handing events to their subscribers: "heard" and what it led to commit together."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction

from core.queue.work import Settlement
from events.models import Event
from events.subscriptions import subscribers

logger = logging.getLogger(__name__)

BATCH = 500
PATIENCE = timedelta(hours=1)

_HEARD: dict[str, object] = {"last_error": ""}  # what earlier tries ran into is history


def dispatch_due() -> int:
    """Claim a batch and let every subscriber hear all of it; how many were claimed."""
    events = Event.objects.claim(limit=BATCH)
    alive = [event for event in events if not event.is_poisoned]
    _dead_letter([event for event in events if event.is_poisoned])
    try:
        _hand_over(alive)
    except Exception:  # one of them is bad: the others must not wait for it
        logger.exception("A batch of events could not be dispatched; trying each alone")
        for event in alive:
            _hand_over_alone(event)
    return len(events)


def _hand_over(events: Sequence[Event]) -> None:
    with transaction.atomic():
        ours = Event.objects.settle([Settlement(event, changes=_HEARD) for event in events])
        held = [event for event in events if event.pk in ours]
        if held:
            for hear in subscribers:
                hear(held)


def _hand_over_alone(event: Event) -> None:
    try:
        _hand_over([event])
    except Exception as error:
        logger.exception(
            "Event %s could not be dispatched",
            event.pk,
            extra={"request_id": event.request_id},
        )
        delay = min(timedelta(seconds=2 ** min(event.claims, 12)), PATIENCE)
        # repr() escapes what PostgreSQL's text can't hold.
        reason = {"last_error": repr(error)[:1000]}
        Event.objects.settle([Settlement(event, retry_in=delay, changes=reason)])


def _dead_letter(events: Sequence[Event]) -> None:
    """An event that has killed its worker time and again waits for an operator."""
    reason = {"last_error": "The worker died over this event each time it was claimed."}
    Event.objects.settle([Settlement(event, changes=reason) for event in events])
