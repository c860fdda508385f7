"""Heartbeats, and the content of the admin's index page."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from core import health, hooks
from core.admin.base import (
    Panel,
    RecordAdmin,
    anchor,
    bounded_count,
    due_count,
    list_url,
)
from core.models import Heartbeat
from core.queue.work import work_models


@admin.register(Heartbeat)
class HeartbeatAdmin(RecordAdmin[Heartbeat]):
    list_display = ["name", "at"]
    exact = ["name"]
    search_help_text = "Full name"


admin.site.index_title = "Overview"


def fill_dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Context of the index page; unfold calls this as DASHBOARD_CALLBACK."""
    checks = orjson.loads(health.readyz(request).content)
    states = {name: checks[name] for name in ("database", "migrations", "redis", "beat")}
    states |= {f"worker: {kind}": worker["state"] for kind, worker in checks["workers"].items()}
    context["components"] = [(name, state, state == "ok") for name, state in states.items()]
    context["warnings"] = checks["warnings"]
    context["alerts"] = [
        alert for evaluate in hooks.collect("ALERTS") if (alert := evaluate()).count
    ]
    context["panels"] = [_queues(checks["queues"])]
    return context


def _queues(queues: dict[str, dict[str, Any]]) -> Panel:
    rows = []
    for model in work_models():
        queue = queues[model._meta.db_table]
        name = str(model._meta.verbose_name_plural)
        name = name[0].upper() + name[1:]
        recent = model._default_manager.filter(pk__gte=_first_id_since(timedelta(hours=1)))
        rows.append(
            [
                anchor(list_url(model), name),
                f"{int(queue['due']):,}",
                _age(queue["oldest_due_seconds"]),
                ", ".join(f"{due_count(n)} {reason}" for reason, n in queue["waiting"].items()),
                due_count(bounded_count(recent)),
            ]
        )
    return Panel(
        "Queues", ["Queue", "Due", "Oldest due", "Waiting for", "New in the last hour"], rows
    )


def _first_id_since(age: timedelta) -> UUID:
    """The smallest UUIDv7 of that time (RFC 9562 section 5.7), to count by primary key."""
    milliseconds = int((timezone.now() - age).timestamp() * 1000)
    return UUID(int=milliseconds << 80)


def _age(seconds: float) -> str:
    if not seconds:
        return ""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
