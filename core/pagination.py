"""Lists: newest first by UUIDv7, so pages neither skip nor repeat while rows are inserted."""

import re
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework.request import Request

from core.errors import ValidationFailed

M = TypeVar("M", bound=Model)

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_WHOLE = re.compile(r"[0-9]{1,9}")


def page(
    request: Request, rows: "QuerySet[M]", render: Callable[[M], dict[str, Any]]
) -> dict[str, Any]:
    """One page: `limit` 1-100, `after` or `before` an id -> {"object", "data", "has_more"}."""
    limit = _limit(request)
    after, before = _cursor(request, "after"), _cursor(request, "before")
    if after and before:
        raise ValidationFailed({"before": "cannot be combined with `after`"})
    if before:
        found = list(rows.filter(pk__gt=before).order_by("pk")[: limit + 1])
    else:
        found = list((rows.filter(pk__lt=after) if after else rows).order_by("-pk")[: limit + 1])
    shown = found[:limit]
    if before:
        shown.reverse()
    return {
        "object": "list",
        "data": [render(row) for row in shown],
        "has_more": len(found) > limit,
    }


def _limit(request: Request) -> int:
    given = request.query_params.get("limit")
    if given is None:
        return DEFAULT_LIMIT
    if not _WHOLE.fullmatch(given) or not 1 <= int(given) <= MAX_LIMIT:
        raise ValidationFailed({"limit": f"must be a whole number from 1 to {MAX_LIMIT}"})
    return int(given)


def _cursor(request: Request, name: str) -> UUID | None:
    given = request.query_params.get(name)
    if not given:
        return None
    try:
        return UUID(given)
    except ValueError:
        raise ValidationFailed({name: "must be the id of an object in this list"}) from None
