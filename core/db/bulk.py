"""Many rows, one statement: COPY, and INSERT and UPDATE from arrays.

PostgreSQL unnests one array a column, so the statement's text and plan don't grow with the
batch, and it can answer which rows it really wrote (Django's bulk_create can't, next to
ON CONFLICT DO NOTHING).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.models import Field, JSONField, Model
from django.db.models.expressions import DatabaseDefault
from django.db.models.fields import NOT_PROVIDED
from psycopg import sql
from psycopg.types.json import Jsonb

from core.db import prepared

Row = Mapping[str, Any]

FEW = 10  # objects: from about there on COPY is faster


def insert(*groups: Sequence[Model]) -> None:
    """What bulk_create does for new objects, in a quarter of the time: all of them or none.

    A group is of one model, and the groups are written in their order: a few objects all in one
    round trip, many by a COPY for each group. A column that the first object of a group leaves to
    the database is left to it for all of them. Sends no signals and sets nothing on the objects.
    """
    filled = [group for group in groups if group]
    if sum(map(len, filled)) > FEW:
        with transaction.atomic(savepoint=False):
            for group in filled:
                _copy_in(group)
    elif filled:
        _insert_few(filled)


def insert_ignoring_conflicts(
    model: type[Model], rows: Sequence[Row], *, returning: str = "id"
) -> set[Any]:
    """Insert the rows that break no unique constraint; the `returning` values of those.

    Each row maps column names to values; all rows name the same columns.
    """
    if not rows:
        return set()
    types = _types(model, rows[0], {})
    statement = sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays})"
        " ON CONFLICT DO NOTHING RETURNING {returning}"
    ).format(
        table=sql.Identifier(model._meta.db_table),
        columns=_columns(types),
        arrays=_arrays(types),
        returning=sql.Identifier(returning),
    )
    return {found for (found,) in _run(statement, types, rows)}


def update_each(
    model: type[Model],
    rows: Sequence[Row],
    *,
    sets: sql.Composable,
    where: sql.Composable = sql.SQL("true"),
    carried: Mapping[str, str] | None = None,
    returning: str = "id",
) -> list[Any]:
    """UPDATE the row that each mapping's `id` names; its values are there as `new.<name>`.

    `sets` is the SET clause and `where` a further condition; both call the table `old`.
    `carried` gives the SQL types of values that are no columns of the table.
    """
    if not rows:
        return []
    types = _types(model, rows[0], carried or {})
    statement = sql.SQL(
        "UPDATE {table} AS old SET {sets} FROM unnest({arrays}) AS new ({columns})"
        " WHERE old.id = new.id AND {where} RETURNING old.{returning}"
    ).format(
        table=sql.Identifier(model._meta.db_table),
        sets=sets,
        arrays=_arrays(types),
        columns=_columns(types),
        where=where,
        returning=sql.Identifier(returning),
    )
    return [found for (found,) in _run(statement, types, rows)]


def _insert_few(groups: Sequence[Sequence[Model]]) -> None:
    """One statement, so PostgreSQL needs no BEGIN for it; foreign keys are checked at its end."""
    inserts, values = [], []
    for group in groups:
        shape = _shape(group[0])
        inserts.append(shape.insert + ", ".join([shape.places] * len(group)))
        values += [value for each in group for value in shape.values(each)]
    *others, last = inserts
    with_others = ", ".join(f"_{number} AS ({each})" for number, each in enumerate(others))
    statement = f"WITH {with_others} {last}" if others else last
    # Such as one mail to one address; other texts are too many to be worth a plan each.
    is_common = all(len(group) == 1 for group in groups)
    with prepared.cursor() if is_common else connection.cursor() as cursor:
        cursor.execute(statement, values)


def _copy_in(group: Sequence[Model]) -> None:
    shape = _shape(group[0])
    # Django translates the driver's exceptions of the calls that it knows, and not of this one.
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(shape.copy) as copy,
    ):
        for each in group:
            copy.write_row(shape.values(each))


@dataclass(frozen=True, slots=True)
class _Shape:
    """The statements for some columns of a model, and how an object fills them."""

    insert: str  # up to VALUES
    places: str  # of one object's values
    copy: str
    attributes: list[tuple[str, bool]]  # with whether it is JSON

    def values(self, item: Model) -> list[Any]:
        return [
            Jsonb(getattr(item, name)) if is_json else getattr(item, name)
            for name, is_json in self.attributes
        ]


def _shape(item: Model) -> _Shape:
    left = (name for name in _with_default(type(item)) if _is_left(item, name))
    return _shape_of(type(item), tuple(left))


def _is_left(item: Model, name: str) -> bool:
    return isinstance(getattr(item, name), DatabaseDefault)


@cache
def _with_default(model: type[Model]) -> list[str]:
    """The attributes that may be left to the database."""
    fields = model._meta.concrete_fields
    return [field.attname for field in fields if field.db_default is not NOT_PROVIDED]


@cache
def _shape_of(model: type[Model], left: tuple[str, ...]) -> _Shape:
    """For all columns but those that are left to the database."""
    fields = [field for field in model._meta.concrete_fields if field.attname not in left]
    names = sql.SQL(", ").join(sql.Identifier(str(field.column)) for field in fields)
    into = sql.SQL("{table} ({names})").format(
        table=sql.Identifier(model._meta.db_table), names=names
    )
    return _Shape(
        insert=sql.SQL("INSERT INTO {} VALUES ").format(into).as_string(),
        places=f"({', '.join(['%s'] * len(fields))})",
        copy=sql.SQL("COPY {} FROM STDIN").format(into).as_string(),
        attributes=[(field.attname, isinstance(field, JSONField)) for field in fields],
    )


def _types(model: type[Model], row: Row, carried: Mapping[str, str]) -> dict[str, str]:
    fields = {field.column: field for field in model._meta.concrete_fields}
    return {name: carried.get(name) or _array_element(fields[name]) for name in row}


def _array_element(field: "Field[Any, Any]") -> str:
    # A length limit is the column's business and no part of an array's type.
    return (field.rel_db_type(connection) or "text").split("(")[0]


def _columns(types: Mapping[str, str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(name) for name in types)


def _arrays(types: Mapping[str, str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(kind)) for kind in types.values())


def _run(
    statement: sql.Composed, types: Mapping[str, str], rows: Sequence[Row]
) -> list[tuple[Any, ...]]:
    arrays = [[_adapted(kind, row[name]) for row in rows] for name, kind in types.items()]
    with connection.cursor() as cursor:
        cursor.execute(statement, arrays)
        written: list[tuple[Any, ...]] = cursor.fetchall()
        return written


def _adapted(kind: str, value: Any) -> Any:
    return Jsonb(value) if kind == "jsonb" and value is not None else value
