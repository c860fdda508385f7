"""`/healthz`, `/readyz` and `/metrics`."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import DatabaseError, ProgrammingError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from core import redis
from core.api.http import answering
from core.models import Heartbeat
from core.queue.work import work_models
from core.times import iso

logger = logging.getLogger(__name__)

MISSED_TICKS = 6

_NO_BEAT = {"beat": "never seen", "last_beat_at": None}

T = TypeVar("T")
Warnings = Callable[[], list[str]]
_warners: list[Warnings] = []


def warn_of(find: Warnings) -> None:
    """Let `/readyz` tell what an app finds wrong; asked only while the database answers."""
    if find not in _warners:
        _warners.append(find)


@answering("GET", "HEAD")
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked."""
    return JsonResponse({"status": "ok", "version": settings.VERSION})


@answering("GET", "HEAD")
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when requests can be served, else 503; with what an operator wants to know."""
    checks: dict[str, Any] = {"database": _database(), "warnings": _warnings()}
    if checks["database"] == "ok":
        checks["migrations"] = _migrations()
        checks |= _if_migrated(_beat) or _NO_BEAT
        checks["queues"] = _if_migrated(_queues) or {}
        for find in _warners:
            checks["warnings"] += _if_migrated(find) or []
    checks["redis"] = "ok" if redis.attempt("readyz", lambda client: client.ping()) else "away"
    # Without Redis mail is still accepted and callbacks are still kept: that is ready.
    ready = checks.get("migrations") == "ok"
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
    """Asked of the database at each scrape: how much is due and since when."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        due = GaugeMetricFamily("opensend_queue_due", "Rows that are due", labels=["queue"])
        age = GaugeMetricFamily(
            "opensend_queue_oldest_due_seconds", "Age of the oldest due row", labels=["queue"]
        )
        for name, queue in _queues_if_reachable().items():
            due.add_metric([name], queue["due"])
            age.add_metric([name], queue["oldest_due_seconds"])
        yield due
        yield age


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "away"
    return "ok"


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(pending)} not applied" if pending else "ok"


def _if_migrated(ask: Callable[[], T]) -> T | None:
    """Before the migrations tables and columns are missing; that they are is told already."""
    try:
        with transaction.atomic():
            return ask()
    except ProgrammingError:
        return None


def _beat() -> dict[str, str | None]:
    last = Heartbeat.objects.filter(name="beat").first()
    if last is None:
        return _NO_BEAT
    age = timezone.now() - last.at
    late: timedelta = settings.SWEEP_INTERVAL * MISSED_TICKS
    told = f"last seen {int(age.total_seconds())} s ago" if age > late else "ok"
    return {"beat": told, "last_beat_at": iso(last.at)}


def _queues() -> dict[str, dict[str, float]]:
    now = timezone.now()
    found = {}
    for model in work_models():
        due = model._default_manager.filter(next_attempt_at__lte=now)
        told = due.aggregate(count=Count("pk"), oldest=Min("next_attempt_at"))
        oldest = (now - told["oldest"]).total_seconds() if told["oldest"] else 0.0
        found[model._meta.db_table] = {
            "due": told["count"],
            "oldest_due_seconds": round(oldest, 3),
        }
    return found


def _queues_if_reachable() -> dict[str, dict[str, float]]:
    # Without a database the counters of the process are what an operator needs most.
    try:
        return _queues()
    except DatabaseError:
        logger.warning("The database does not answer; its metrics are left out")
        return {}


def _warnings() -> list[str]:
    """What makes a running installation deaf."""
    if not settings.SES_EVENTS_SNS_TOPIC_ARN:
        return ["SES_EVENTS_SNS_TOPIC_ARN is empty: every SES event is refused with 403"]
    return []
