"""Request ids, paths with a slash too many, whole bodies, live database connections."""

import io
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, UnreadablePostError

from core import metrics
from core.context import request_id
from core.db.ids import uuid7
from core.db.live_connection import ensure_live_connection

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
HEALTH_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")

# CONTENT_LENGTH for a body without one. Code that reads a whole body enforces its own limit.
UNKNOWN_LENGTH = str(sys.maxsize)

# The admin has slashes of its own, and a proxy that blocks a path blocks one spelling of it.
_FOR_OPERATORS = re.compile(r"/(admin|metrics)(/|$)")

_CHUNK = 256 * 1024
_DRAIN_SECONDS = 10.0  # for the rest of a body that no view read


class RequestIdMiddleware:
    """Accepts the caller's `x-request-id` if it is well-formed, otherwise generates one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        name = given if REQUEST_ID_PATTERN.fullmatch(given) else str(uuid7())
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
        path = "/" + request.path_info.strip("/")
        if path != request.path_info and not _FOR_OPERATORS.match(path):
            request.path_info = request.path = path
        return self.get_response(request)


class WholeBodyMiddleware:
    """Makes bodies without Content-Length readable, and drains what the view left unread.

    The server closes a connection that has unread input. A client that is still sending would
    then get a connection reset instead of the response (RFC 9112 section 9.6), such as a 401 or
    429.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "CONTENT_LENGTH" not in request.META:
            _accept_unsized_body(request)
        response = self.get_response(request)
        # A streaming response may still be reading. `_body` is set once the whole body was read.
        if not response.streaming:
            if not hasattr(request, "_body"):
                with suppress(UnreadablePostError):
                    _drain(request)
            _release_body(request)
        return response


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


def _accept_unsized_body(request: HttpRequest) -> None:
    """Chunked and HTTP/2 requests may have a body without Content-Length.

    Django and DRF treat such a body as empty: the request would succeed with its data lost.
    """
    meta = request.META
    is_unsized = "HTTP_TRANSFER_ENCODING" in meta or meta.get("SERVER_PROTOCOL") == "HTTP/2"
    if not is_unsized or not meta.get("wsgi.input_terminated"):
        return
    stream = io.BufferedReader(_RawBody(meta["wsgi.input"]))
    if stream.peek(1):
        meta["CONTENT_LENGTH"] = UNKNOWN_LENGTH
        vars(request)["_stream"] = stream


class _RawBody(io.RawIOBase):
    """Adapts the WSGI input stream, which only has `read`, to Python's raw IO."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._source.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _drain(request: HttpRequest) -> None:
    deadline, remaining = time.monotonic() + _DRAIN_SECONDS, settings.API_MAX_BODY_BYTES
    while remaining > 0 and (chunk := request.read(_CHUNK)) and time.monotonic() < deadline:
        remaining -= len(chunk)


def _release_body(request: HttpRequest) -> None:
    """Drop the references to the body, which can hold 40 MiB of attachments.

    Django's request objects are part of reference cycles and live until the garbage collector
    runs.
    """
    request.META.pop("wsgi.input", None)
    vars(request).pop("_stream", None)
