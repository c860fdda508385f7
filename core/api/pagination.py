"""Pages of lists, newest first by UUIDv7: by cursor they neither skip nor repeat inserted rows."""

import re
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework.request import Request

from core.errors import ValidationFailed

M = TypeVar("M", bound=Model)

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_OFFSET = 10_000  # an offset costs as much as the rows that it skips
_WHOLE = re.compile(r"[0-9]{1,9}")


def by_cursor(
    request: Request, rows: "QuerySet[M]", *, column: str = "pk", prefix: str = ""
) -> tuple[list[M], bool]:
    """The rows of one page (`limit` 1-100, `after` or `before` an id) and whether there are more.

    `column` holds the ids by which the list is ordered and its pages are found: unique UUIDv7.
    `prefix` is what they are shown with, and may be left out of a cursor.
    """
    limit, after, before = cursor_parameters(request, prefix)
    if before:
        newer = rows.filter(**{f"{column}__gt": before})
        found = list(newer.order_by(column)[: limit + 1])
    else:
        older = rows.filter(**{f"{column}__lt": after}) if after else rows
        found = list(older.order_by(f"-{column}")[: limit + 1])
    page = found[:limit]
    if before:
        page.reverse()
    return page, len(found) > limit


def by_offset(
    request: Request, rows: "QuerySet[M]", *, column: str = "pk"
) -> tuple[list[M], dict[str, int]]:
    """The rows of one page (`limit` 1-100, `offset`), newest first, with `limit`, `offset` and
    `total`, which counts no further than MAX_OFFSET."""
    limit, offset = _limit(request), _offset(request)
    total = rows.order_by()[:MAX_OFFSET].count()
    page = list(rows.order_by(f"-{column}")[offset : offset + limit])
    return page, {"limit": limit, "offset": offset, "total": total}


def cursor_parameters(request: Request, prefix: str = "") -> tuple[int, UUID | None, UUID | None]:
    """`limit`, `after` and `before` of a request; raises ValidationFailed naming a wrong one."""
    limit = _limit(request)
    after, before = _cursor(request, "after", prefix), _cursor(request, "before", prefix)
    if after and before:
        raise ValidationFailed({"before": "cannot be combined with `after`"})
    return limit, after, before


def refuse_page_parameters(request: Request) -> None:
    """For a list that has no pages: ValidationFailed when the request asks for one."""
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


def _offset(request: Request) -> int:
    given = request.query_params.get("offset", "0")
    if not _WHOLE.fullmatch(given) or int(given) > MAX_OFFSET:
        raise ValidationFailed({"offset": f"must be a whole number from 0 to {MAX_OFFSET}"})
    return int(given)


def _cursor(request: Request, name: str, prefix: str) -> UUID | None:
    given = request.query_params.get(name)
    if not given:
        return None
    try:
        return UUID(given.removeprefix(prefix))
    except ValueError:
        raise ValidationFailed({name: "must be the id of an object in this list"}) from None
