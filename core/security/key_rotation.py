"""Bringing stored secrets under the newest key of `ENCRYPTION_KEYS`.

In small batches by primary key, so that it can run beside the product, stop anywhere and run
again. A row that was written meanwhile is left as it was written and looked at once more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.db import transaction
from django.db.models import Model, QuerySet
from psycopg import sql

from core.db import bulk
from core.security import crypto
from core.security.crypto import CiphertextField

BATCH = 500

Row = tuple[Any, str]  # primary key and token


@dataclass(slots=True)
class Tally:
    """What became of one column. `unreadable` holds the ids of rows that no key opens."""

    table: str
    column: str
    renewed: int = 0
    already_new: int = 0
    unreadable: list[str] = field(default_factory=list)


def rotate_all() -> Iterator[Tally]:
    """Every column of every model whose type says that it holds tokens, one after the other."""
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if isinstance(column, CiphertextField):
                yield _renew_column(model, column)


def _renew_column(model: type[Model], column: CiphertextField) -> Tally:
    tally = Tally(model._meta.db_table, str(column.column))
    filled = model._base_manager.exclude(**{column.attname: ""}).order_by("pk")
    rows = _read(filled[:BATCH], column)
    while rows:
        last = rows[-1][0]
        while rows:
            rows = _renew(model, column, rows, tally)
        rows = _read(filled.filter(pk__gt=last)[:BATCH], column)
    return tally


def _renew(
    model: type[Model], column: CiphertextField, rows: Sequence[Row], tally: Tally
) -> list[Row]:
    """Those that somebody else wrote meanwhile, as they are now."""
    stale = []
    for key, token in rows:
        try:
            fresh = crypto.renew(token)
        except InvalidToken:
            tally.unreadable.append(str(key))
            continue
        if fresh is None:
            tally.already_new += 1
        else:
            stale.append({"id": key, "was": token, "fresh": fresh})
    written = _write(model, column, stale)
    tally.renewed += len(written)
    missed = [row["id"] for row in stale if row["id"] not in written]
    left = model._base_manager.filter(pk__in=missed).exclude(**{column.attname: ""})
    return _read(left, column) if missed else []


def _write(
    model: type[Model], column: CiphertextField, stale: Sequence[dict[str, Any]]
) -> set[Any]:
    if not stale:
        return set()
    rows = model._base_manager.filter(pk__in=[row["id"] for row in stale])
    name = sql.Identifier(str(column.column))
    with transaction.atomic():
        # In the order of ids, as all who write many rows: an UPDATE locks them as it finds them.
        list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk"))
        written = bulk.update_each(
            model,
            stale,
            sets=sql.SQL("{} = new.fresh").format(name),
            where=sql.SQL("old.{} = new.was").format(name),
            carried={"was": "text", "fresh": "text"},
        )
    return set(written)


def _read(rows: "QuerySet[Model]", column: CiphertextField) -> list[Row]:
    return list(rows.values_list("pk", column.attname))
