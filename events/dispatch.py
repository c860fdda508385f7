"""Dispatches due events to their pending subscribers.

A batch is one transaction and each subscriber has a savepoint of its own in it, so its writes and
its removal from `Event.pending` commit together, and a subscriber that fails disturbs no other.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import InterfaceError, OperationalError, connection, transaction

from core.queue.backoff import Backoff
from core.queue.batches import run_batch
from core.queue.queues import Batch
from core.queue.wake import pass_on
from core.queue.work import Settlement
from events import queues, subscriptions
from events.models import Event
from events.subscriptions import Subscriber

logger = logging.getLogger(__name__)

BATCH = 500
BACKOFF = Backoff(first=timedelta(seconds=2), longest=timedelta(hours=1))
MAX_ATTEMPTS = 15  # spread over four hours by the backoff

_LONGEST_ERROR = 1000
_DB_DOWN = (InterfaceError, OperationalError)


def dispatch_due() -> Batch:
    """Claim a batch and dispatch it.

    A database failure is raised: it is no event's fault, and the batch is due again after its
    lease. If that happens again and again, the events end up as poisoned.
    """
    events = Event.objects.claim(limit=BATCH)
    pass_on(queues.DISPATCH.task, claimed=len(events), limit=BATCH)
    poisoned = _dead_letter_poisoned([event for event in events if event.is_poisoned])
    dispatched = _dispatch([event for event in events if not event.is_poisoned])
    return Batch(len(events)) + poisoned + dispatched


@dataclass
class _Dispatch:
    """One event of a batch, with the errors of its subscribers by their names."""

    event: Event
    errors: dict[str, str] = field(default_factory=dict)

    def settlement(self) -> Settlement:
        failed_attempts = self.event.failed_attempts + 1 if self.errors else 0
        can_retry = 0 < failed_attempts < MAX_ATTEMPTS
        error = "; ".join(f"{name}: {reason}" for name, reason in self.errors.items())
        return Settlement(
            self.event,
            retry_in=BACKOFF.after(failed_attempts) if can_retry else None,
            changes={
                "pending": list(self.errors),
                "failed_attempts": failed_attempts,
                "last_error": error[:_LONGEST_ERROR],
            },
        )


def _dispatch(events: Sequence[Event]) -> Batch:
    if not events:
        return Batch(0)
    with transaction.atomic():
        # While the rows are locked no other worker can claim them, even after their lease.
        batch = [_Dispatch(event) for event in Event.objects.lock_claimed(events)]
        # A pending subscriber that is no longer in the code is dropped.
        for subscriber in subscriptions.subscribers():
            pending = [each for each in batch if subscriber.name in each.event.pending]
            _hand_over(subscriber, pending)
        Event.objects.settle([each.settlement() for each in batch])
    return Batch(0, processed=len(batch), failed=sum(bool(each.errors) for each in batch))


def _hand_over(subscriber: Subscriber, batch: Sequence[_Dispatch]) -> None:
    """Let one subscriber handle the events, one by one if it fails with all of them."""

    def handle(items: Sequence[_Dispatch]) -> None:
        with transaction.atomic():
            subscriber.handle([each.event for each in items])
            # Foreign keys are deferred: at the commit a violation would fail all subscribers.
            connection.check_constraints()

    def on_batch_error(error: Exception) -> None:
        _raise_if_database_failed(error)
        logger.error(
            "Subscriber %s could not handle a batch of events; retrying them one by one",
            subscriber.name,
            exc_info=error,
        )

    def on_error(item: _Dispatch, error: Exception) -> None:
        _raise_if_database_failed(error)
        logger.error(
            "Subscriber %s could not handle event %s",
            subscriber.name,
            item.event.pk,
            extra={"request_id": item.event.request_id},
            exc_info=error,
        )
        # repr() escapes characters that PostgreSQL's text type rejects.
        item.errors[subscriber.name] = repr(error)

    run_batch(batch, handle, on_error, on_batch_error=on_batch_error)


def _raise_if_database_failed(error: Exception) -> None:
    if isinstance(error, _DB_DOWN):
        raise error


def _dead_letter_poisoned(events: Sequence[Event]) -> Batch:
    """Give up events over which workers crashed, until an operator dispatches them again."""
    reason = {"last_error": "Poisoned: the worker died every time it claimed this event."}
    settled = Event.objects.settle([Settlement(event, changes=reason) for event in events])
    return Batch(0, processed=len(settled), failed=len(settled))
