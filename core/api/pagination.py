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
    request: Request,
    rows: "QuerySet[M]",
    render: Callable[[M], dict[str, Any]],
    *,
    column: str = "pk",
    prefix: str = "",
) -> dict[str, Any]:
    """One page: `limit` 1-100, `after` or `before` an id -> {"object", "data", "has_more"}.

    `column` holds the ids by which the list is ordered and its pages are found, each UUIDv7 of
    them once; `prefix` is what they are shown with, and may be left out of a cursor.
    """
    limit, after, before = asked_for(request, prefix)
    if before:
        newer = rows.filter(**{f"{column}__gt": before})
        found = list(newer.order_by(column)[: limit + 1])
    else:
        older = rows.filter(**{f"{column}__lt": after}) if after else rows
        found = list(older.order_by(f"-{column}")[: limit + 1])
    shown = found[:limit]
    if before:
        shown.reverse()
    return {
        "object": "list",
        "data": [render(row) for row in shown],
        "has_more": len(found) > limit,
    }


def asked_for(request: Request, prefix: str = "") -> tuple[int, UUID | None, UUID | None]:
    """`limit`, `after` and `before` of a request; raises ValidationFailed naming a wrong one."""
    limit = _limit(request)
    after, before = _cursor(request, "after", prefix), _cursor(request, "before", prefix)
    if after and before:
        raise ValidationFailed({"before": "cannot be combined with `after`"})
    return limit, after, before


def refuse_pages(request: Request) -> None:
    """For a list that always comes whole: asking for a part of it raises ValidationFailed."""
    asked = [name for name in ("limit", "after", "before") if name in request.query_params]
    if asked:
        raise ValidationFailed(dict.fromkeys(asked, "cannot be given: this list comes whole"))


def _limit(request: Request) -> int:
    given = request.query_params.get("limit")
    if given is None:
        return DEFAULT_LIMIT
    if not _WHOLE.fullmatch(given) or not 1 <= int(given) <= MAX_LIMIT:
        raise ValidationFailed({"limit": f"must be a whole number from 1 to {MAX_LIMIT}"})
    return int(given)


def _cursor(request: Request, name: str, prefix: str) -> UUID | None:
    given = request.query_params.get(name)
    if not given:
        return None
    try:
        return UUID(given.removeprefix(prefix))
    except ValueError:
        raise ValidationFailed({name: "must be the id of an object in this list"}) from None
