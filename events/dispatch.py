"""Dispatches due events to the subscribers. Their effects commit together with the dispatch."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction

from core.queue.work import Settlement
from events.models import Event
from events.subscriptions import subscribers

logger = logging.getLogger(__name__)

BATCH = 500
MAX_BACKOFF = timedelta(hours=1)

_SUCCESS: dict[str, object] = {"last_error": ""}  # clears the error of earlier attempts


def dispatch_due() -> int:
    """Claim a batch and dispatch it to every subscriber; returns how many were claimed."""
    events = Event.objects.claim(limit=BATCH)
    alive = [event for event in events if not event.is_poisoned]
    _dead_letter([event for event in events if event.is_poisoned])
    try:
        _dispatch(alive)
    except Exception:  # one bad event must not block the others
        logger.exception("Could not dispatch a batch of events; retrying them one by one")
        for event in alive:
            _dispatch_one(event)
    return len(events)


def _dispatch(events: Sequence[Event]) -> None:
    with transaction.atomic():
        settled = Event.objects.settle([Settlement(event, changes=_SUCCESS) for event in events])
        leased = [event for event in events if event.pk in settled]
        if leased:
            for subscriber in subscribers:
                subscriber(leased)


def _dispatch_one(event: Event) -> None:
    try:
        _dispatch([event])
    except Exception as error:
        logger.exception(
            "Could not dispatch event %s",
            event.pk,
            extra={"request_id": event.request_id},
        )
        delay = min(timedelta(seconds=2 ** min(event.claims, 12)), MAX_BACKOFF)
        # repr() escapes characters that PostgreSQL's text type rejects.
        reason = {"last_error": repr(error)[:1000]}
        Event.objects.settle([Settlement(event, retry_in=delay, changes=reason)])


def _dead_letter(events: Sequence[Event]) -> None:
    """Give up poisoned events until an operator dispatches them again."""
    reason = {"last_error": "Poisoned: the worker died every time it claimed this event."}
    Event.objects.settle([Settlement(event, changes=reason) for event in events])
