"""Too many wrong passwords lock an account, for their client's address, for a limited time.

django-axes counts them in PostgreSQL. Another address is not affected, so nobody can lock an
operator out, and what is tried while the account is locked does not prolong it.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from core import metrics
from core.api.client_address import client_network

logger = logging.getLogger(__name__)

_MAX_NAME = 255  # AccessAttempt.username


class Handler(AxesDatabaseHandler):  # type: ignore[misc]
    """Also logs each failure, without the name: people type their password into the wrong field."""

    def user_login_failed(
        self,
        sender: Any,
        credentials: dict[str, Any],
        request: HttpRequest | None = None,
        **named: Any,
    ) -> None:
        super().user_login_failed(sender, credentials, request, **named)
        is_locked = bool(getattr(request, "axes_locked_out", False))
        network = client_network(request) if request else None
        metrics.AUTH_FAILURES.labels("login_locked" if is_locked else "login").inc()
        text = "Login refused: too many failures" if is_locked else "Login failed"
        logger.warning(text, extra={"network": network})


def counted_name(request: HttpRequest, credentials: Mapping[str, Any] | None) -> str:
    """The name under which failures are counted: as much of it as axes can store."""
    given = request.POST if credentials is None else credentials
    return str(given.get("username") or "")[:_MAX_NAME]


def locked_response(
    request: HttpRequest, original: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """429 with Retry-After, for the request that locked the account and all that follow."""
    wait = _remaining(request, credentials or {})
    context = {
        **admin.site.each_context(request),
        "title": "Too many failed logins",
        "minutes": ceil(wait.total_seconds() / 60),
        "login_url": request.get_full_path(),
    }
    response = TemplateResponse(request, "accounts/admin/locked.html", context, status=429)
    response["Retry-After"] = str(max(1, ceil(wait.total_seconds())))
    return response.render()


def _remaining(request: HttpRequest, credentials: dict[str, Any]) -> timedelta:
    lockout: timedelta = settings.LOGIN_LOCKOUT
    attempts = AccessAttempt.objects.filter(
        username=counted_name(request, credentials), ip_address=client_network(request)
    )
    last = attempts.aggregate(at=Max("attempt_time"))["at"]
    return lockout if last is None else max(timedelta(), last + lockout - timezone.now())
