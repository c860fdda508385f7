"""Around every request: its id, in and out, and the end of its body."""

import io
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError

from core import metrics
from core.context import request_id
from core.db.ids import uuid7

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
WELL_FORMED = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")


# The length of a body that doesn't tell it; whoever reads it all has a limit of his own.
UNTOLD = str(sys.maxsize)

_CHUNK = 256 * 1024
_PATIENCE = 10.0  # seconds for what nobody asked for


class RequestIdMiddleware:
    """`x-request-id` is taken from the caller when it is well-formed, else made here."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
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


class WholeBodyMiddleware:
    """A body is there whether it tells its length or not, and its end is awaited.

    A refusal is answered once its request has come in whole.

    The server closes a connection on which it left something unread, and a client that is still
    sending then gets a reset instead of the answer (RFC 9112 section 9.6): no 401, no 429.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "CONTENT_LENGTH" not in request.META:
            _let_read(request)
        response = self.get_response(request)
        # A streaming answer may still be reading; `_body` is a body that was read whole.
        if not response.streaming:
            if not hasattr(request, "_body"):
                with suppress(UnreadablePostError):
                    _discard(request)
            _forget(request)
        return response


def _let_read(request: HttpRequest) -> None:
    """Bodies in chunks, and those of HTTP/2, may leave it to the server to tell where they end.

    Django and DRF take them as empty, and what they ask for would be lost behind a 200.
    """
    meta = request.META
    is_open = "HTTP_TRANSFER_ENCODING" in meta or meta.get("SERVER_PROTOCOL") == "HTTP/2"
    if not is_open or not meta.get("wsgi.input_terminated"):
        return
    stream = io.BufferedReader(_Raw(meta["wsgi.input"]))
    if stream.peek(1):
        meta["CONTENT_LENGTH"] = UNTOLD
        vars(request)["_stream"] = stream


class _Raw(io.RawIOBase):
    """The server's stream, which can only be read, as Python's own."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._source.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _discard(request: HttpRequest) -> None:
    until, left = time.monotonic() + _PATIENCE, settings.API_MAX_BODY_BYTES
    while left > 0 and (chunk := request.read(_CHUNK)) and time.monotonic() < until:
        left -= len(chunk)


def _forget(request: HttpRequest) -> None:
    """Requests are tied to themselves by Django, and only the collector unties them.

    What was read, up to 40 MiB of attachments, would stay in memory until then.
    """
    request.META.pop("wsgi.input", None)
    vars(request).pop("_stream", None)
