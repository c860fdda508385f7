"""`/healthz`, `/readyz` and `/metrics`."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import Error, ProgrammingError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from core import hooks, redis
from core.api.http import answering
from core.db.ids import uuid7
from core.db.live_connection import ensure_live_connection
from core.db.outages import is_outage
from core.models import Heartbeat
from core.queue import heartbeat
from core.queue.backlog import state
from core.queue.work import work_models
from core.times import iso

logger = logging.getLogger(__name__)

MISSED_TICKS = 6

_NO_BEAT = {"beat": "never seen", "last_beat_at": None}

T = TypeVar("T")


@answering("GET", "HEAD")
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process answers; checks nothing else."""
    return JsonResponse({"status": "ok", "version": settings.VERSION})


@answering("GET", "HEAD")
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when requests can be served, else 503; with the state of each part."""
    checks: dict[str, Any] = {"database": _database(), "warnings": _warnings()}
    if checks["database"] == "ok":
        checks["migrations"] = _migrations()
        checks["writes"] = _if_migrated(_writes) or "unavailable"
        checks |= _if_migrated(_beat) or _NO_BEAT
        checks["workers"] = _if_migrated(_workers) or {}
        checks["warnings"] += _missing(checks)
        checks["queues"] = _if_migrated(_queues) or {}
        for find_warnings in hooks.collect("READINESS"):
            checks["warnings"] += _if_migrated(find_warnings) or []
    has_redis = redis.attempt("readyz", lambda client: client.ping())
    checks["redis"] = "ok" if has_redis else "unavailable"
    # Without Redis mail is still accepted and callbacks are still stored: that is ready.
    ready = checks.get("migrations") == "ok" and checks.get("writes") == "ok"
    return JsonResponse(
        {"status": "ready" if ready else "not ready", **checks}, status=200 if ready else 503
    )


@answering("GET", "HEAD")
def metrics(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry()
    if settings.PROMETHEUS_MULTIPROC_DIR:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(_Queues())
        return HttpResponse(generate_latest(registry), content_type=_TEXT)
    registry.register(_Queues())
    return HttpResponse(generate_latest(REGISTRY) + generate_latest(registry), content_type=_TEXT)


_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class _Queues(Collector):
    """Read from the database at each scrape: what is late, since when, and what waits for what."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        due = GaugeMetricFamily(
            "opensend_queue_due", "Rows that a worker could work off now", labels=["queue"]
        )
        age = GaugeMetricFamily(
            "opensend_queue_oldest_due_seconds",
            "Age of the oldest row that a worker could work off now",
            labels=["queue"],
        )
        waiting = GaugeMetricFamily(
            "opensend_queue_waiting",
            "Rows that wait for an endpoint, a rate, a quota, a time or a person",
            labels=["queue", "reason"],
        )
        for name, queue in _queues_if_reachable().items():
            due.add_metric([name], queue["due"])
            age.add_metric([name], queue["oldest_due_seconds"])
            for reason, count in queue["waiting"].items():
                waiting.add_metric([name, reason], count)
        yield from (due, age, waiting)


def _database() -> str:
    try:
        ensure_live_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return "unavailable"
    return "ok"


def _writes() -> str:
    """Commit a row and its deletion: a full disk, a standby and a read-only switch can still read.

    It leaves nothing behind, and no two checks meet.
    """
    try:
        with transaction.atomic():
            Heartbeat.objects.create(name=f"readyz {uuid7()}", at=timezone.now()).delete()
    except Error as error:
        if not is_outage(error):
            raise
        return str(error).strip().partition("\n")[0]
    return "ok"


def _migrations() -> str:
    """Read until nothing is pending, and remembered then: it costs more than all other checks."""
    global _is_migrated
    if _is_migrated:
        return "ok"
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    _is_migrated = not pending
    return f"{len(pending)} not applied" if pending else "ok"


_is_migrated = False


def _if_migrated(ask: Callable[[], T]) -> T | None:
    """None before the migrations, when tables and columns are missing."""
    try:
        with transaction.atomic():
            return ask()
    except ProgrammingError:
        return None


def _beat() -> dict[str, str | None]:
    last = Heartbeat.objects.filter(name="beat").first()
    if last is None:
        return _NO_BEAT
    late: timedelta = settings.SWEEP_INTERVAL * MISSED_TICKS
    is_late = timezone.now() - last.at > late
    return {"beat": _seen(last.at) if is_late else "ok", "last_beat_at": iso(last.at)}


def _workers() -> dict[str, dict[str, str | None]]:
    """Each kind of worker process: `ok`, or when it was last seen."""
    return {
        kind: {
            "state": _seen(at) if heartbeat.is_missing(at) else "ok",
            "last_seen_at": iso(at) if at else None,
        }
        for kind, at in heartbeat.last_seen().items()
    }


def _missing(checks: dict[str, Any]) -> list[str]:
    """Requests are served without them, but nobody should have to find that out."""
    warnings = [
        f"No worker for the queue `{kind}` is running: {worker['state']}"
        for kind, worker in checks["workers"].items()
        if worker["state"] != "ok"
    ]
    if checks["beat"] != "ok":
        warnings.append(f"No beat is running, or no worker answers it: {checks['beat']}")
    return warnings


def _seen(at: datetime | None) -> str:
    return f"last seen {int((timezone.now() - at).total_seconds())} s ago" if at else "never seen"


def _queues() -> dict[str, dict[str, Any]]:
    now = timezone.now()
    queues = {}
    for model in work_models():
        (due, oldest), waiting = state(model)
        queues[model._meta.db_table] = {
            "due": due,
            "oldest_due_seconds": round((now - oldest).total_seconds(), 3) if oldest else 0.0,
            "waiting": waiting,
        }
    return queues


def _queues_if_reachable() -> dict[str, dict[str, Any]]:
    # Without a database the counters of the process are what an operator needs most.
    try:
        ensure_live_connection()
        return _queues()
    except Error:
        logger.warning("Database unavailable; queue metrics are missing")
        return {}


def _warnings() -> list[str]:
    if not settings.SES_EVENTS_SNS_TOPIC_ARN:
        return ["SES_EVENTS_SNS_TOPIC_ARN is empty: every SES event is refused with 403"]
    return []
