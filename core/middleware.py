"""Request ids, and the count of requests."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from core import metrics
from core.context import request_id
from core.db.ids import uuid7

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")


def accepted_request_id(given: str) -> str:
    """The caller's `x-request-id` if it is well-formed, otherwise a new one."""
    return given if REQUEST_ID_PATTERN.fullmatch(given) else str(uuid7())


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
