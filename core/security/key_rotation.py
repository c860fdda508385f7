"""Key rotation: re-encrypts stored secrets with the newest key of `ENCRYPTION_KEYS`.

Works in small batches by primary key, so it can run next to the product, stop anywhere and be
repeated. A row that changed concurrently is not overwritten but read again.
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
class RotationCount:
    """Rows per outcome for one column. `unreadable` has the ids of rows that no key decrypts."""

    table: str
    column: str
    renewed: int = 0
    already_new: int = 0
    unreadable: list[str] = field(default_factory=list)


def rotate_all() -> Iterator[RotationCount]:
    """Rotate every CiphertextField of every model, one column at a time."""
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if isinstance(column, CiphertextField):
                yield _rotate_column(model, column)


def _rotate_column(model: type[Model], column: CiphertextField) -> RotationCount:
    count = RotationCount(model._meta.db_table, str(column.column))
    non_empty = model._base_manager.exclude(**{column.attname: ""}).order_by("pk")
    rows = _read(non_empty[:BATCH], column)
    while rows:
        last = rows[-1][0]
        while rows:
            rows = _rotate_rows(model, column, rows, count)
        rows = _read(non_empty.filter(pk__gt=last)[:BATCH], column)
    return count


def _rotate_rows(
    model: type[Model], column: CiphertextField, rows: Sequence[Row], count: RotationCount
) -> list[Row]:
    """Rotate the rows; returns those that changed concurrently, with their current tokens."""
    stale = []
    for pk, token in rows:
        try:
            rotated = crypto.rotate(token)
        except InvalidToken:
            count.unreadable.append(str(pk))
            continue
        if rotated is None:
            count.already_new += 1
        else:
            stale.append({"id": pk, "old_token": token, "new_token": rotated})
    written = _write(model, column, stale)
    count.renewed += len(written)
    conflicts = [row["id"] for row in stale if row["id"] not in written]
    changed = model._base_manager.filter(pk__in=conflicts).exclude(**{column.attname: ""})
    return _read(changed, column) if conflicts else []


def _write(
    model: type[Model], column: CiphertextField, stale: Sequence[dict[str, Any]]
) -> set[Any]:
    if not stale:
        return set()
    rows = model._base_manager.filter(pk__in=[row["id"] for row in stale])
    name = sql.Identifier(str(column.column))
    with transaction.atomic():
        # Lock in primary key order to avoid deadlocks: an UPDATE locks rows as it finds them.
        list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk"))
        written = bulk.update_each(
            model,
            stale,
            sets=sql.SQL("{} = new.new_token").format(name),
            where=sql.SQL("old.{} = new.old_token").format(name),
            carried={"old_token": "text", "new_token": "text"},
        )
    return set(written)


def _read(rows: "QuerySet[Model]", column: CiphertextField) -> list[Row]:
    return list(rows.values_list("pk", column.attname))
