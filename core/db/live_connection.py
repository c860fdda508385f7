"""Replaces pooled connections that died while idle, as all do when PostgreSQL restarts.

Django's CONN_HEALTH_CHECKS would ask PostgreSQL before every request. Requests of the API don't
need that: their first statement is a lookup, which is repeated on another connection.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

T = TypeVar("T")

FAST_FAILURE_SECONDS = 1.0  # a dead connection fails faster; slower errors are not retried


def retry_on_dead_connection(statement: Callable[[], T]) -> T:
    """Run a statement that is safe to repeat, once more for each connection found dead."""
    for _ in range(settings.DATABASE_POOL_SIZE):
        started = time.monotonic()
        try:
            return statement()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() - started > FAST_FAILURE_SECONDS:
                raise
            connection.close()
    return statement()


def ensure_live_connection() -> None:
    """Make sure that the next statement of this thread finds a connection that works.

    Raises what connecting raises, such as OperationalError.
    """
    if settings.DATABASE_POOL_SIZE and not connection.in_atomic_block:
        retry_on_dead_connection(_ping)


def _ping() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
