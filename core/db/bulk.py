"""Bulk writes in one statement: COPY, and INSERT and UPDATE from arrays.

PostgreSQL unnests one array per column, so the statement's text and plan don't grow with the
batch, and RETURNING gives the rows that were written (which Django's bulk_create cannot do with
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

COPY_ABOVE = 10  # objects; COPY is faster from about here


def insert(*groups: Sequence[Model]) -> None:
    """Insert new objects, all or none, in a quarter of the time that bulk_create takes.

    Each group holds objects of one model; groups are written in order. Few objects take one round
    trip in total, many take one COPY per group. If the first object of a group leaves a column to
    its database default, so do all of that group. Sends no signals and does not update the objects.
    """
    non_empty = [group for group in groups if group]
    if sum(map(len, non_empty)) > COPY_ABOVE:
        with transaction.atomic(savepoint=False):
            for group in non_empty:
                _copy_in(group)
    elif non_empty:
        _insert_few(non_empty)


def insert_ignoring_conflicts(
    model: type[Model], rows: Sequence[Row], *, returning: str = "id"
) -> set[Any]:
    """Insert the rows that violate no unique constraint; returns their `returning` values.

    Each row maps column names to values; all rows must name the same columns.
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
    return {value for (value,) in _run(statement, types, rows)}


def update_each(
    model: type[Model],
    rows: Sequence[Row],
    *,
    sets: sql.Composable,
    where: sql.Composable = sql.SQL("true"),
    carried: Mapping[str, str] | None = None,
    returning: str = "id",
) -> list[Any]:
    """Update each row by its `id`; returns the `returning` values of the rows it updated.

    `sets` is the SET clause and `where` an extra condition. Both refer to the table as `old` and to
    the given values as `new.<name>`. `carried` has the SQL types of values that are not columns.
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
    return [value for (value,) in _run(statement, types, rows)]


def _insert_few(groups: Sequence[Sequence[Model]]) -> None:
    """One statement, which needs no BEGIN; its foreign keys are checked at its end."""
    shapes = [_shape(group[0]) for group in groups]
    values = [
        value
        for shape, group in zip(shapes, groups, strict=True)
        for each in group
        for value in shape.values(each)
    ]
    # Such as one email to one recipient. Other statement texts vary too much to keep their plans.
    if all(len(group) == 1 for group in groups):
        with prepared.numbered_cursor() as cursor:
            cursor.execute(_insert_of_each(tuple(shapes)), values)
    else:
        rows = [
            ", ".join([f"({', '.join(['%s'] * len(shape.attributes))})"] * len(group))
            for shape, group in zip(shapes, groups, strict=True)
        ]
        with connection.cursor() as cursor:
            cursor.execute(_one_statement(shapes, rows), values)


@cache
def _insert_of_each(shapes: "tuple[_Shape, ...]") -> str:
    """The statement for one object of each shape, with numbered placeholders."""
    rows, number = [], 1
    for shape in shapes:
        end = number + len(shape.attributes)
        rows.append(f"({', '.join(f'${each}' for each in range(number, end))})")
        number = end
    return _one_statement(shapes, rows)


def _one_statement(shapes: "Sequence[_Shape]", rows: Sequence[str]) -> str:
    inserts = [shape.insert + row for shape, row in zip(shapes, rows, strict=True)]
    *others, last = inserts
    ctes = ", ".join(f"_{number} AS ({each})" for number, each in enumerate(others))
    return f"WITH {ctes} {last}" if others else last


def _copy_in(group: Sequence[Model]) -> None:
    shape = _shape(group[0])
    # Django does not wrap psycopg's exceptions from copy().
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(shape.copy) as copy,
    ):
        for each in group:
            copy.write_row(shape.values(each))


@dataclass(frozen=True, slots=True)
class _Shape:
    """The insert statements for a set of a model's columns, and the values of an object."""

    insert: str  # up to and including VALUES
    copy: str
    attributes: tuple[tuple[str, bool], ...]  # name, and whether it is JSON

    def values(self, item: Model) -> list[Any]:
        return [
            Jsonb(getattr(item, name)) if is_json else getattr(item, name)
            for name, is_json in self.attributes
        ]


def _shape(item: Model) -> _Shape:
    defaulted = [
        name
        for name in _with_default(type(item))
        if isinstance(getattr(item, name), DatabaseDefault)
    ]
    return _shape_of(type(item), tuple(defaulted))


@cache
def _with_default(model: type[Model]) -> list[str]:
    """The attributes that have a database default."""
    fields = model._meta.concrete_fields
    return [field.attname for field in fields if field.db_default is not NOT_PROVIDED]


@cache
def _shape_of(model: type[Model], defaulted: tuple[str, ...]) -> _Shape:
    """Covers all columns except those left to their database default."""
    fields = [field for field in model._meta.concrete_fields if field.attname not in defaulted]
    names = sql.SQL(", ").join(sql.Identifier(str(field.column)) for field in fields)
    target = sql.SQL("{table} ({names})").format(
        table=sql.Identifier(model._meta.db_table), names=names
    )
    return _Shape(
        insert=sql.SQL("INSERT INTO {} VALUES ").format(target).as_string(),
        copy=sql.SQL("COPY {} FROM STDIN").format(target).as_string(),
        attributes=tuple((field.attname, isinstance(field, JSONField)) for field in fields),
    )


def _types(model: type[Model], row: Row, carried: Mapping[str, str]) -> dict[str, str]:
    fields = {field.column: field for field in model._meta.concrete_fields}
    return {name: carried.get(name) or _array_element(fields[name]) for name in row}


def _array_element(field: "Field[Any, Any]") -> str:
    # Array element types carry no length limit.
    return (field.rel_db_type(connection) or "text").split("(")[0]


def _columns(types: Mapping[str, str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(name) for name in types)


def _arrays(types: Mapping[str, str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(kind)) for kind in types.values())


def _run(
    statement: sql.Composed, types: Mapping[str, str], rows: Sequence[Row]
) -> list[tuple[Any, ...]]:
    arrays = [[_adapt(kind, row[name]) for row in rows] for name, kind in types.items()]
    with connection.cursor() as cursor:
        cursor.execute(statement, arrays)
        returned: list[tuple[Any, ...]] = cursor.fetchall()
        return returned


def _adapt(kind: str, value: Any) -> Any:
    return Jsonb(value) if kind == "jsonb" and value is not None else value
