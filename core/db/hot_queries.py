"""Lookups with SQL that is compiled once, for the queries that every request makes.

A queryset compiles its SQL on each use. On the hot path of sending, that takes several times as
long as PostgreSQL needs for the query.
"""

from functools import cached_property, partial
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models

from core.db import prepared
from core.db.live_connection import retry_on_dead_connection

M = TypeVar("M", bound=models.Model)


class Lookup(Generic[M]):
    """`Lookup(Model, "row.digest = %(digest)s")(digest=...)` returns the matching rows.

    `where` is SQL with named parameters that refers to the table as `row`. `related` names a
    foreign key to load with a join, like select_related. Raises TypeError for models with a column
    that Django converts in Python, such as JSON.

    A pooled connection that died while idle, as all do when PostgreSQL restarts, fails at once and
    is replaced: a lookup is the first statement of a request, so it is safe to retry.
    """

    def __init__(self, model: type[M], where: str, *, related: str = "") -> None:
        self._model = model
        self._where = where
        self._related = related

    def __call__(self, **values: Any) -> list[M]:
        return retry_on_dead_connection(partial(self._fetch, values))

    def _fetch(self, values: dict[str, Any]) -> list[M]:
        with prepared.cursor() as cursor:
            cursor.execute(self._statement, values)
            return [self._instance(row) for row in cursor]

    def _instance(self, row: tuple[Any, ...]) -> M:
        width = len(self._names)
        item = self._model.from_db(DEFAULT_DB_ALIAS, self._names, row[:width])
        if self._other:
            other = self._other.from_db(DEFAULT_DB_ALIAS, self._other_names, row[width:])
            setattr(item, self._related, other)
        return item

    @cached_property
    def _names(self) -> list[str]:
        return _names(self._model)

    @cached_property
    def _other_names(self) -> list[str]:
        return _names(self._other) if self._other else []

    @cached_property
    def _other(self) -> type[models.Model] | None:
        if not self._related:
            return None
        other = self._model._meta.get_field(self._related).related_model
        assert isinstance(other, type)
        return other

    @cached_property
    def _statement(self) -> str:
        columns, tables = _columns(self._model, "row"), f'"{self._model._meta.db_table}" AS row'
        if self._other:
            key = self._model._meta.get_field(self._related)
            assert isinstance(key, models.ForeignKey)
            columns += _columns(self._other, "other")
            tables += f' JOIN "{self._other._meta.db_table}" AS other'
            tables += f' ON other."{key.target_field.column}" = row."{key.column}"'
        return f"SELECT {', '.join(columns)} FROM {tables} WHERE {self._where}"  # noqa: S608


def _names(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def _columns(model: type[models.Model], table: str) -> list[str]:
    for field in model._meta.concrete_fields:
        if field.get_db_converters(connection):
            raise TypeError(f"{field} is converted in Python, which Lookup does not support")
    return [f'{table}."{field.column}"' for field in model._meta.concrete_fields]
