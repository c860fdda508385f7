"""A cursor for the statements of every request: PostgreSQL plans them once a connection.

Django writes values into the text of a statement, so PostgreSQL parses and plans each anew, and
for a look-up by a key that is three quarters of what it does. Here the values travel apart from the
statement (`%s` and `%(name)s` as usual), and results come in PostgreSQL's binary format.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from psycopg.abc import Params
from psycopg.pq import TransactionStatus


@contextmanager
def cursor() -> Iterator[CursorWrapper]:
    """Like `connection.cursor()`, for one statement at a time whose text is one of a few.

    Every text is kept by PostgreSQL with its plan, for each connection; psycopg lets the oldest of
    more than a hundred go.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        plain = _Cursor(connection.connection)
    with (_LoggedCursor if connection.queries_logged else CursorWrapper)(plain, connection) as made:
        yield made


class _LoggedCursor(CursorDebugWrapper):
    """Logs the statement as it is written: psycopg has no text of it with the values inside."""

    def execute(self, sql: Any, params: Any = None) -> Any:
        with self.debug_sql(sql, params):
            return CursorWrapper.execute(self, sql, params)


class _Cursor(psycopg.Cursor[Any]):
    def execute(self, query: Any, params: Params | None = None, **_options: Any) -> Self:
        # For this statement only: psycopg would remember the text of all the others as well, and
        # those have mails in them.
        self.connection.prepare_threshold = 0
        try:
            return super().execute(
                query, params, prepare=settings.DATABASE_PREPARED_STATEMENTS, binary=True
            )
        except psycopg.errors.FeatureNotSupported:
            # "cached plan must not change result type": a migration changed the type of a column.
            # Where that ends a transaction, psycopg forgets all plans with the rollback.
            if self.connection.info.transaction_status is not TransactionStatus.IDLE:
                raise
            return super().execute(query, params, prepare=False, binary=True)
        finally:
            self.connection.prepare_threshold = None
