"""What a queue has to do, and since when: bounded, so that probes stay cheap.

Rows that are due and could be worked off now are late by our own fault. What waits for somebody
else (a customer's endpoint, a rate, a quota, a time) is counted apart, by reason: no worker could
hurry it, so it must not look like a backlog.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Min, Q
from django.db.models.functions import Now

from core import hooks
from core.queue.work import WorkItem

COUNT_LIMIT = 10_000


class Backlog(NamedTuple):
    """`due` rows, counted up to COUNT_LIMIT; the `oldest` of those is due since then."""

    due: int
    oldest: datetime | None

    def __add__(self, other: object) -> "Backlog":
        assert isinstance(other, Backlog)
        return Backlog(
            due=min(self.due + other.due, COUNT_LIMIT),
            oldest=min(filter(None, (self.oldest, other.oldest)), default=None),
        )


class QueueState(NamedTuple):
    """What is late, and how many rows wait for each reason, counted up to COUNT_LIMIT."""

    late: Backlog
    waiting: Mapping[str, int]


def state(model: type[WorkItem]) -> QueueState:
    """Of the model's rows; its app may know what they wait for (the hook QUEUE_STATES)."""
    measures: dict[str, Callable[[], QueueState]] = dict(hooks.collect("QUEUE_STATES"))
    measure = measures.get(model._meta.label)
    return measure() if measure else QueueState(backlog(model), {})


def backlog(model: type[WorkItem], rows: Mapping[str, Any] | None = None) -> Backlog:
    """All due rows of the model, by one statement for each of its partial indexes, or of `rows`."""
    conditions = [Q(**rows)] if rows else model.DUE_CONDITIONS
    return sum((due_rows(model, condition) for condition in conditions), Backlog(0, None))


def due_rows(model: type[WorkItem], condition: Q) -> Backlog:
    due = model._default_manager.filter(condition, next_attempt_at__lte=Now()).order_by()
    counted = due[:COUNT_LIMIT].aggregate(due=Count("pk"), oldest=Min("next_attempt_at"))
    return Backlog(**counted)
