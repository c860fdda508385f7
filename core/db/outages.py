"""Which errors mean that the database can't be used at the moment, and not that we have a bug."""

from django.db import Error, InterfaceError, OperationalError

READ_ONLY = "25006"  # ERRCODE_READ_ONLY_SQL_TRANSACTION: a standby, or a switch of an operator


def is_outage(error: BaseException) -> bool:
    """Unreachable, shutting down, out of connections, disk or memory, locked, or read-only."""
    if isinstance(error, InterfaceError | OperationalError):
        return True
    return isinstance(error, Error) and sqlstate(error) == READ_ONLY


def sqlstate(error: BaseException) -> str | None:
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    return state
