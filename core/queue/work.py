"""Rows that are also jobs: claimed in batches with SKIP LOCKED, leased, fenced and retried.

`next_attempt_at` is the whole schedule: in the past it means "due", in the future "scheduled,
backing off or leased to a worker", and null means "finished". The clock is PostgreSQL's.

`claims` is the fencing counter: each claim increments it, and a worker may settle a row only
while the counter still has the value it claimed. `crashes` counts consecutive claims without a
settlement, that is, how often a worker died while it had the row.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Self, TypeVar

from django.db import models
from django.db.models.functions import Now
from psycopg import sql

from core.db import bulk

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
# After this many crashes a row is claimed alone, so that it cannot take a batch down with it.
# Beyond MAX_CRASHES its app dead-letters it.
ISOLATE_AFTER = 2
MAX_CRASHES = 5
# A suspect row yields to others, but only this long: a busy queue might never drain.
YIELD_FOR = timedelta(seconds=60)

# The first entry of each key in an index on (key, next_attempt_at).
_HEADS = sql.SQL(
    "heads AS ("
    " (SELECT {key} AS key, next_attempt_at FROM {table} WHERE {where}"
    "  ORDER BY {key}, next_attempt_at LIMIT 1)"
    " UNION ALL"
    " SELECT following.* FROM heads CROSS JOIN LATERAL ("
    "  SELECT {key}, next_attempt_at FROM {table} WHERE {where} AND {key} > heads.key"
    "  ORDER BY {key}, next_attempt_at LIMIT 1) AS following)"
)

M = TypeVar("M", bound="WorkItem")


class WorkQuerySet(models.QuerySet[M]):
    def due(self) -> Self:
        return self.filter(next_attempt_at__lte=Now())

    def claim(
        self,
        *,
        limit: int,
        lease: timedelta = LEASE,
        where: sql.Composable = sql.SQL("true"),
        sets: sql.Composable | None = None,
    ) -> list[M]:
        """Lease up to `limit` due rows, oldest first, to this worker only; one statement.

        `where` restricts which rows may be claimed, `sets` extends the SET clause.
        """
        due = sql.SQL(
            "due AS (SELECT id, crashes, next_attempt_at, 1 AS turn FROM {table}"
            " WHERE next_attempt_at <= now() AND {where}"
            " ORDER BY next_attempt_at LIMIT {limit} FOR UPDATE SKIP LOCKED)"
        ).format(table=self._table, where=where, limit=sql.Literal(limit))
        return self._lease(due, limit=limit, lease=lease, sets=sets)

    def claim_fairly(
        self,
        *,
        limit: int,
        key: str,
        per_key: sql.Composable,
        turns: sql.Composable = sql.SQL("next_attempt_at"),
        lease: timedelta = LEASE,
        where: sql.Composable = sql.SQL("true"),
        sets: sql.Composable | None = None,
    ) -> list[M]:
        """Lease up to `limit` due rows, round-robin over the values of the column `key`.

        `per_key` is an SQL expression for the maximum number of rows per key; it may use
        `heads.key`. With more keys than `limit`, the first keys by `turns` are served: the
        longest-waiting, or random ones (`random()`) where claims are too small to reach all.
        Needs a partial index on (key, next_attempt_at) with the condition `where`: a loose index
        scan reads the first entry of each key, so the cost grows with the number of keys that
        have work, not with the backlog.
        """
        parts = {
            "table": self._table,
            "key": sql.Identifier(key),
            "where": sql.SQL("next_attempt_at IS NOT NULL AND ") + where,
            "per_key": per_key,
            "turns": turns,
            "limit": sql.Literal(limit),
        }
        heads = _HEADS.format(**parts)
        # OFFSET 0 keeps the planner from evaluating `room` twice, for the condition and the value.
        # `room` is computed for as many keys as can be served, and each key contributes a few
        # times its share of `limit`: locking and ranking all due rows would cost more than the
        # claim.
        chosen = sql.SQL(
            "chosen AS MATERIALIZED (SELECT key,"
            " least(room, 4 * ceil({limit}::float8 / count(*) OVER ()))::int AS room FROM ("
            "  SELECT * FROM (SELECT heads.key, {per_key} AS room FROM"
            "   (SELECT * FROM heads WHERE next_attempt_at <= now()"
            "    ORDER BY {turns}) AS heads OFFSET 0) AS counted"
            "  WHERE room > 0 LIMIT {limit}) AS open)"
        ).format(**parts)
        # The inner LIMIT is a constant, so the planner reads the index in order: for an unknown
        # limit it expects a tenth of all rows and sorts them instead.
        due = sql.SQL(
            "due AS (SELECT taken.*, row_number() OVER"
            " (PARTITION BY chosen.key ORDER BY taken.next_attempt_at) AS turn"
            " FROM chosen CROSS JOIN LATERAL ("
            "  SELECT * FROM (SELECT id, crashes, next_attempt_at FROM {table}"
            "   WHERE {where} AND {key} = chosen.key AND next_attempt_at <= now()"
            "   ORDER BY next_attempt_at LIMIT {limit} FOR UPDATE SKIP LOCKED) AS oldest"
            "  LIMIT chosen.room) AS taken)"
        ).format(**parts)
        return self._lease(
            sql.SQL(", ").join([heads, chosen, due]), limit=limit, lease=lease, sets=sets
        )

    def settle(self, outcomes: Sequence["Settlement"]) -> set[Any]:
        """Write the outcomes of claimed rows in one statement; returns the ids it settled.

        A row that another worker has claimed since, or that was finished, is left unchanged: the
        caller must not publish anything about it.
        """
        if not outcomes:
            return set()
        own = sql.SQL("crashes = 0, next_attempt_at = now() + new.delay")
        sets = [own, *(_set_to_new(name) for name in outcomes[0].changes)]
        rows = [
            {
                "id": outcome.row.pk,
                "claims": outcome.row.claims,
                "delay": outcome.retry_in,
                **outcome.changes,
            }
            for outcome in outcomes
        ]
        return set(
            bulk.update_each(
                self.model,
                rows,
                sets=sql.SQL(", ").join(sets),
                where=sql.SQL("old.claims = new.claims AND old.next_attempt_at IS NOT NULL"),
                carried={"delay": "interval"},
            )
        )

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(self.model._meta.db_table)

    def _lease(
        self, due: sql.Composable, *, limit: int, lease: timedelta, sets: sql.Composable | None
    ) -> list[M]:
        statement = sql.SQL(
            "WITH RECURSIVE {due}, ranked AS ("
            "  SELECT id, crashes < {alone} AS trusted,"
            "  row_number() OVER ranking AS place,"
            "  first_value(crashes < {alone}) OVER ranking AS trusted_batch FROM due"
            "  WINDOW ranking AS (ORDER BY crashes >= {alone} AND"
            "   next_attempt_at > now() - make_interval(secs => {patience}), turn,"
            "   next_attempt_at))"
            " UPDATE {table} AS item SET claims = item.claims + 1,"
            " crashes = item.crashes + 1,"
            " next_attempt_at = now() + make_interval(secs => {lease}){sets}"
            " FROM ranked WHERE item.id = ranked.id AND ranked.place <= {limit}"
            " AND (ranked.place = 1 OR ranked.trusted AND ranked.trusted_batch)"
            " RETURNING item.*"
        ).format(
            due=due,
            table=self._table,
            alone=sql.Literal(ISOLATE_AFTER),
            patience=sql.Literal(YIELD_FOR.total_seconds()),
            lease=sql.Literal(lease.total_seconds()),
            limit=sql.Literal(limit),
            sets=sql.SQL(", ") + sets if sets else sql.SQL(""),
        )
        return list(self.model._default_manager.raw(statement.as_string(None)))


class WorkItem(models.Model):
    # Q conditions whose union is every due row, each served by a partial index.
    DUE_CONDITIONS: ClassVar[Sequence[models.Q]] = (models.Q(),)

    next_attempt_at = models.DateTimeField(null=True, db_default=Now(), editable=False)
    claims = models.PositiveIntegerField(default=0, editable=False)
    crashes = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        abstract = True

    @property
    def is_poisoned(self) -> bool:
        """Whether workers crashed on this row too often for another attempt."""
        return self.crashes > MAX_CRASHES


@dataclass(frozen=True, slots=True)
class Settlement:
    """The outcome of one claimed row: due again after `retry_in`, or finished if None.

    `changes` maps columns to values; all settlements of one call must name the same columns.
    """

    row: WorkItem
    retry_in: timedelta | None = None
    changes: dict[str, Any] = field(default_factory=dict)


def work_models() -> list[type[WorkItem]]:
    """The models of all queues, for health checks and metrics."""
    from django.apps import apps

    return [model for model in apps.get_models() if issubclass(model, WorkItem)]


def _set_to_new(column: str) -> sql.Composable:
    return sql.SQL("{0} = new.{0}").format(sql.Identifier(column))
