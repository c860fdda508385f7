"""How many rows of a queue are due, and since when: bounded, so that probes stay cheap."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Min, Q
from django.db.models.functions import Now

from core.queue.work import WorkItem

COUNT_LIMIT = 10_000


class Backlog(NamedTuple):
    """`due` rows, counted up to COUNT_LIMIT; the `oldest` of those is due since then."""

    due: int
    oldest: datetime | None


def backlog(model: type[WorkItem], rows: Mapping[str, Any] | None = None) -> Backlog:
    """Of the whole model, by one statement for each of its partial indexes, or of some `rows`."""
    conditions = [Q(**rows)] if rows else model.DUE_CONDITIONS
    parts = [_count(model, condition) for condition in conditions]
    return Backlog(
        due=min(sum(part.due for part in parts), COUNT_LIMIT),
        oldest=min((part.oldest for part in parts if part.oldest), default=None),
    )


def _count(model: type[WorkItem], condition: Q) -> Backlog:
    due = model._default_manager.filter(condition, next_attempt_at__lte=Now()).order_by()
    counted = due[:COUNT_LIMIT].aggregate(due=Count("pk"), oldest=Min("next_attempt_at"))
    return Backlog(**counted)
