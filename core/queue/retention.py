"""Purging of old rows, at least as fast as new ones are written, without blocking other work.

Short transactions hold few locks for milliseconds. A task ends after a short slice, so that
others get the worker process, and hints at itself to continue. Locked rows are skipped: another
purge is deleting them, or the next run does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models, transaction
from django.utils import timezone
from psycopg import sql

from core.queue.worker_loop import repeat

BATCH = 5000  # takes 5 ms for webhook attempts, 50 ms for events with their dependent rows
# The worker's pool is small: events wait while a purge occupies one of its processes.
SLICE_SECONDS = 0.5


def purge(rows: "models.QuerySet[Any]", *, column: str, older_than: timedelta, task: str) -> int:
    """Delete rows whose `column` is older than `older_than`, for one slice; returns the count.

    `task` is the calling task's name: it is hinted at again while old rows remain. Needs an index
    on `column`. Dependent rows are removed by ON DELETE CASCADE.
    """
    expired = rows.filter(**{f"{column}__lt": timezone.now() - older_than})
    return repeat(task, _Purge(expired, column).delete_batch, seconds=SLICE_SECONDS)


@dataclass
class _Purge:
    rows: "models.QuerySet[Any]"
    column: str
    # Where the last batch ended and the next one starts. Rows before it are deleted, locked or
    # exempt, and each batch would take longer if it scanned them again.
    reached: datetime | None = None

    def delete_batch(self) -> int:
        rows = self.rows.order_by(self.column)
        if self.reached:
            rows = rows.filter(**{f"{self.column}__gte": self.reached})
        deleted, self.reached = delete_rows(rows, limit=BATCH, newest=sql.Identifier(self.column))
        return deleted


def delete_rows(
    rows: "models.QuerySet[Any, Any]", *, limit: int, newest: sql.Composable = sql.SQL("null::int")
) -> tuple[int, Any]:
    """Delete the first `limit` of these rows that nobody has locked; in one statement.

    Returns their number, and the maximum of the SQL expression `newest`. Dependent rows are
    removed by ON DELETE CASCADE.
    """
    ctid = models.Func(template="ctid", output_field=models.TextField())
    first = rows.select_for_update(skip_locked=True).values_list(ctid)[:limit]
    # By ctid rather than primary key, which saves an index lookup per row.
    delete = sql.SQL(
        "WITH gone AS (DELETE FROM {table} WHERE ctid = ANY(ARRAY({first}))"
        " RETURNING {newest} AS age) SELECT count(*), max(age) FROM gone"
    )
    table = sql.Identifier(rows.model._meta.db_table)
    with transaction.atomic(), connection.cursor() as cursor:
        query, parameters = first.query.sql_with_params()
        cursor.execute(delete.format(table=table, first=sql.SQL(query), newest=newest), parameters)
        deleted, age = cursor.fetchone()
    return int(deleted), age
