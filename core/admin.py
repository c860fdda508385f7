"""Signs of life, and what the index page shows."""

from typing import Any

import orjson
from django.contrib import admin
from django.http import HttpRequest

from core import health
from core.admin_base import Panel, RecordAdmin, alerts, due_count
from core.models import Heartbeat


@admin.register(Heartbeat)
class HeartbeatAdmin(RecordAdmin[Heartbeat]):
    list_display = ["name", "at"]
    exact = ["name"]


def fill_dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Called by unfold for the index page."""
    checks = orjson.loads(health.readyz(request).content)
    context["parts"] = [
        (part, checks[part], checks[part] == "ok")
        for part in ("database", "migrations", "redis", "beat")
    ]
    context["warnings"] = checks["warnings"]
    context["alerts"] = [alert for ask in alerts if (alert := ask()).count]
    context["panels"] = [_queues(checks["queues"])]
    return context


def _queues(queues: dict[str, dict[str, float]]) -> Panel:
    rows = [
        [name.replace("_", " "), due_count(int(each["due"])), _age(each["oldest_due_seconds"])]
        for name, each in queues.items()
    ]
    return Panel("Queues", ["Queue", "Due", "Oldest due"], rows)


def _age(seconds: float) -> str:
    if not seconds:
        return ""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
