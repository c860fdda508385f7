"""Every error as JSON in the dialect of its view or path: what DRF and Django call with one."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from core.api.dialects import Dialect, Problem, dialect_of
from core.context import request_id
from core.db.outages import is_outage
from core.errors import DomainError, StorageUnavailable

logger = logging.getLogger(__name__)

_NAMES: dict[type[exceptions.APIException], tuple[int, str]] = {
    exceptions.NotAuthenticated: (401, "missing_api_key"),
    exceptions.AuthenticationFailed: (403, "invalid_api_key"),
    exceptions.PermissionDenied: (403, "restricted_api_key"),
    exceptions.ParseError: (400, "invalid_json"),
    exceptions.NotFound: (404, "not_found"),
    exceptions.MethodNotAllowed: (405, "method_not_allowed"),
    exceptions.NotAcceptable: (406, "not_acceptable"),
    exceptions.UnsupportedMediaType: (415, "unsupported_media_type"),
    exceptions.Throttled: (429, "rate_limit_exceeded"),
}


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Called by DRF; None means a bug, which Django logs and answers with 500."""
    problem = _problem(exc)
    if problem is None:
        return None
    dialect: Dialect | None = getattr(context["view"], "dialect", None)
    return (dialect or dialect_of(context["request"].path)).error_response(problem)


def _problem(exc: Exception) -> Problem | None:
    if isinstance(exc, DomainError):
        return Problem.of(exc)
    if is_outage(exc):
        return _outage(exc)
    if isinstance(exc, Http404):
        exc = exceptions.NotFound("There is nothing here.")
    if isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, RequestDataTooBig):
        return Problem(413, "payload_too_large", "The body is too large.")
    if not isinstance(exc, exceptions.APIException):
        return None
    status, name = next(
        (named for kind, named in _NAMES.items() if isinstance(exc, kind)),
        (exc.status_code, str(exc.default_code)),
    )
    return Problem(status, name, str(exc.detail), headers=_headers(exc))


def _outage(exc: BaseException) -> Problem:
    logger.warning("The database is unavailable: %s", exc)
    return Problem.of(
        StorageUnavailable("The database is unavailable, nothing was changed. Retry later.")
    )


def _headers(exc: exceptions.APIException) -> dict[str, str]:
    if wait := getattr(exc, "wait", None):
        return {"retry-after": str(max(1, int(wait)))}
    return {"www-authenticate": "Bearer"} if isinstance(exc, exceptions.NotAuthenticated) else {}


def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    message = f"There is no {request.path}. The paths are listed at {settings.BASE_URL}/docs."
    return refuse(request, Problem(404, "not_found", message))


def method_not_allowed(request: HttpRequest, allowed: Sequence[str]) -> JsonResponse:
    message = f"{request.method} is not allowed here, only {', '.join(allowed)}."
    allow = {"Allow": ", ".join(allowed)}
    return refuse(request, Problem(405, "method_not_allowed", message, headers=allow))


def bad_request(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    message = "The request is malformed."
    if isinstance(exception, DisallowedHost):
        host = request.META.get("HTTP_HOST", "")[:200]
        message = (
            f"The host `{host}` is not served here. The setting ALLOWED_HOSTS names the hosts."
        )
    return refuse(request, Problem(400, "bad_request", message))


def server_error(request: HttpRequest) -> HttpResponse:
    """Called by Django while it handles the exception of a plain view, the admin's included."""
    error = sys.exception()
    if error is not None and is_outage(error):
        return _refuse_page(request, _outage(error))
    message = f"Something broke here. Quote x-request-id {request_id.get()} when you report it."
    return refuse(request, Problem(500, "internal_server_error", message))


def _refuse_page(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A browser gets text: the pages of the admin and of recipients are no API."""
    if "text/html" not in request.META.get("HTTP_ACCEPT", ""):
        return refuse(request, problem)
    text = "This page is unavailable at the moment. Please try again in a minute."
    return HttpResponse(
        text,
        status=problem.status,
        content_type="text/plain; charset=utf-8",
        headers=dict(problem.headers),
    )


def refuse(request: HttpRequest, problem: Problem) -> JsonResponse:
    """For paths outside of API views: the dialect is the path's."""
    return dialect_of(request.path).json_response(problem)
