"""A cursor for prepared statements, for the queries of every request.

Django interpolates values into the SQL text, so PostgreSQL parses and plans every statement, which
is three quarters of the work of a lookup by key. Here values are bound as parameters (`%s` and
`%(name)s` as usual), a plan is reused per connection, and results are in binary format.
"""

from typing import Any, Self

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from psycopg.abc import Params
from psycopg.pq import TransactionStatus


def cursor() -> CursorWrapper:
    """Like `connection.cursor()`, for single statements from a small set of texts.

    PostgreSQL keeps each text and its plan per connection; psycopg drops the least recently used
    ones above a hundred.
    """
    return _wrapped(_Cursor)


def numbered_cursor() -> CursorWrapper:
    """The same for placeholders as PostgreSQL knows them: `$1`, `$2`.

    psycopg reads a text with `%s` at every call if it has more than 50 of them or 4,096 characters.
    """
    return _wrapped(_NumberedCursor)


def _wrapped(kind: "type[_Cursor]") -> CursorWrapper:
    connection = connections[DEFAULT_DB_ALIAS]  # resolved once: the proxy does it at each access
    connection.ensure_connection()
    with connection.wrap_database_errors:
        plain = kind(connection.connection)
    wrapper = _LoggedCursor if connection.queries_logged else CursorWrapper
    return wrapper(plain, connection)


class _LoggedCursor(CursorDebugWrapper):
    """Logs the statement without values: with bound parameters there is no interpolated text."""

    def execute(self, sql: Any, params: Any = None) -> Any:
        with self.debug_sql(sql, params):
            return CursorWrapper.execute(self, sql, params)


class _Cursor(psycopg.Cursor[Any]):
    def execute(self, query: Any, params: Params | None = None, **_options: Any) -> Self:
        # For this statement only: otherwise psycopg would also keep the texts of Django's
        # statements, which contain emails.
        self.connection.prepare_threshold = 0
        try:
            return super().execute(
                query, params, prepare=settings.DATABASE_PREPARED_STATEMENTS, binary=True
            )
        except psycopg.errors.FeatureNotSupported:
            # "cached plan must not change result type": a migration changed a column's type. Inside
            # a transaction this cannot be retried; psycopg drops all plans with the rollback.
            if self.connection.info.transaction_status is not TransactionStatus.IDLE:
                raise
            return super().execute(query, params, prepare=False, binary=True)
        finally:
            self.connection.prepare_threshold = None


class _NumberedCursor(_Cursor, psycopg.RawCursor[Any]):
    pass
