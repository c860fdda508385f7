"""Deleting what is old, at least as fast as it is written, without being in anybody's way.

Short transactions hold few locks for milliseconds. A slice ends before others have to wait for
the process, and asks for the next one. Rows that somebody else has locked are passed over:
another cleaner deletes them, or the next run does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models, transaction
from django.utils import timezone
from psycopg import sql

from core.queue.worker_loop import drain

BATCH = 5000  # 5 ms of attempts, 50 ms of events with what hangs on them
# The worker's pool is small, and events wait while a cleaner has a process of it.
SLICE_SECONDS = 0.5


def purge(rows: "models.QuerySet[Any]", *, column: str, older_than: timedelta, task: str) -> int:
    """Delete rows whose `column` is older than that, for one slice; how many were deleted.

    `task` is the one that calls this: it is asked for again while there is more. Wants an index
    on `column`. What hangs on the rows is the business of their foreign keys in the database.
    """
    old = rows.filter(**{f"{column}__lt": timezone.now() - older_than})
    return drain(task, _Sweep(old, column).delete_some, slice_seconds=SLICE_SECONDS)


@dataclass
class _Sweep:
    rows: "models.QuerySet[Any]"
    column: str
    # Where the last batch ended. The next one begins there: what lies before is deleted, locked
    # or to be kept, and to look at it again for each batch would take longer each time.
    reached: datetime | None = None

    def delete_some(self) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            query, parameters = self._oldest().query.sql_with_params()
            # By place and not by key, which spares looking each row up again.
            statement = sql.SQL(
                "WITH gone AS (DELETE FROM {table} WHERE ctid = ANY(ARRAY({oldest}))"
                " RETURNING {column} AS age) SELECT count(*), max(age) FROM gone"
            ).format(
                table=sql.Identifier(self.rows.model._meta.db_table),
                oldest=sql.SQL(query),
                column=sql.Identifier(self.column),
            )
            cursor.execute(statement, parameters)
            deleted, self.reached = cursor.fetchone()
        return int(deleted)

    def _oldest(self) -> "models.QuerySet[Any, Any]":
        rows = self.rows.order_by(self.column).select_for_update(skip_locked=True)
        if self.reached:
            rows = rows.filter(**{f"{self.column}__gte": self.reached})
        place = models.Func(template="ctid", output_field=models.TextField())
        return rows.values_list(place)[:BATCH]
