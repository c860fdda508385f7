"""Request ids, hosts of probes, paths with a slash too many, live database connections."""

import re
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse

from core import metrics
from core.context import request_id
from core.db.ids import uuid7
from core.db.live_connection import ensure_live_connection

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
HEALTH_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")


# The admin has slashes of its own, and a proxy that blocks a path blocks one spelling of it.
_FOR_OPERATORS = re.compile(r"/(admin|metrics)(/|$)")


def accepted_request_id(given: str) -> str:
    """The caller's `x-request-id` if it is well-formed, otherwise a new one."""
    return given if REQUEST_ID_PATTERN.fullmatch(given) else str(uuid7())


def without_extra_slashes(path: str) -> str:
    return "/" + path.strip("/")


class RequestIdMiddleware:
    """Accepts the caller's `x-request-id` if it is well-formed, otherwise generates one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = accepted_request_id(request.META.get("HTTP_X_REQUEST_ID", ""))
        token = request_id.set(name)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
        response["x-request-id"] = name
        route = (request.resolver_match and request.resolver_match.route) or "unknown"
        # Callers can invent methods, and Prometheus keeps every label value forever.
        method = request.method if request.method in METHODS else "other"
        metrics.HTTP_REQUESTS.labels(method, route, response.status_code).inc()
        return response


class HealthHostMiddleware:
    """Lets probes and scrapers name any host: they know a process by its IP address.

    Nothing on these paths depends on the host. It comes before everything that checks it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info in HEALTH_PATHS:
            request.META["HTTP_HOST"] = urlsplit(settings.BASE_URL).netloc
        return self.get_response(request)


class SlashMiddleware:
    """Answers `/emails/` and `//emails` like `/emails`.

    Where people enter our URLs, they add a slash at the end: of the endpoint for SNS, or of the
    base URL of a client. A redirect would turn a POST into a GET (RFC 9110 section 15.4).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = without_extra_slashes(request.path_info)
        if path != request.path_info and not _FOR_OPERATORS.match(path):
            request.path_info = request.path = path
        return self.get_response(request)


class LiveConnectionMiddleware:
    """Gives pages whose first statement is no retried lookup a connection that works.

    Where PostgreSQL cannot be reached, the view finds that out itself.
    """

    PREFIXES = ("/admin/", "/t/u/")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(self.PREFIXES):
            with suppress(DatabaseError):
                ensure_live_connection()
        return self.get_response(request)
