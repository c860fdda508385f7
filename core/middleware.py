"""`x-request-id` in and out: taken from the caller when it is well-formed, else made here."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from core import metrics
from core.context import request_id
from core.ids import uuid7

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
WELL_FORMED = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("x-request-id", "")
        name = given if WELL_FORMED.fullmatch(given) else str(uuid7())
        token = request_id.set(name)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
        response["x-request-id"] = name
        route = (request.resolver_match and request.resolver_match.route) or "unknown"
        # Any caller can invent a method, and every label value is kept for good.
        method = request.method if request.method in METHODS else "other"
        metrics.HTTP_REQUESTS.labels(method, route, response.status_code).inc()
        return response
