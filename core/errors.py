"""Errors as the API shows them: {"statusCode", "name", "message", "details"?}."""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import DisallowedHost, PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from core.context import request_id

logger = logging.getLogger(__name__)


class DomainError(Exception):
    """A rule of the product was broken. Subclass it; the message is shown to callers."""

    name: ClassVar[str] = "validation_error"
    status: ClassVar[int] = 422

    def __init__(self, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class ValidationFailed(DomainError):
    """The request names its fields wrongly. `fields` maps each field path to what is wrong."""

    def __init__(self, fields: dict[str, str], *, name: str = "validation_error") -> None:
        summary = "; ".join(f"`{path}`: {problem}" for path, problem in fields.items())
        super().__init__(summary, details={"fields": fields})
        self.code = name


class UnsupportedField(DomainError):
    name = "unsupported_field"


class NotFound(DomainError):
    name = "not_found"
    status = 404


class Conflict(DomainError):
    name = "conflict"
    status = 409


class PayloadTooLarge(DomainError):
    name = "payload_too_large"
    status = 413


_API_NAMES: dict[type[exceptions.APIException], tuple[int, str]] = {
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


def body(
    status: int, name: str, message: str, details: dict[str, Any] | None = None
) -> dict[str, Any]:
    envelope: dict[str, Any] = {"statusCode": status, "name": name, "message": message}
    return envelope | {"details": details} if details else envelope


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Called by DRF; None means a bug, which Django logs and answers with 500."""
    if isinstance(exc, DomainError):
        name = getattr(exc, "code", exc.name)
        return Response(body(exc.status, name, exc.message, exc.details), status=exc.status)
    if isinstance(exc, Http404):
        exc = exceptions.NotFound("There is nothing here.")
    if isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, RequestDataTooBig):
        return Response(body(413, "payload_too_large", "The body is too large."), status=413)
    if not isinstance(exc, exceptions.APIException):
        return None
    status, name = next(
        (named for kind, named in _API_NAMES.items() if isinstance(exc, kind)),
        (exc.status_code, str(exc.default_code)),
    )
    return Response(body(status, name, str(exc.detail)), status=status, headers=_headers(exc))


def _headers(exc: exceptions.APIException) -> dict[str, str]:
    if wait := getattr(exc, "wait", None):
        return {"retry-after": str(max(1, int(wait)))}
    return {"www-authenticate": "Bearer"} if isinstance(exc, exceptions.NotAuthenticated) else {}


def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    message = f"There is no {request.path}. The paths are listed at {settings.BASE_URL}/docs."
    return JsonResponse(body(404, "not_found", message), status=404)


def method_not_allowed(request: HttpRequest, allowed: Sequence[str]) -> JsonResponse:
    message = f"{request.method} is not allowed here, only {', '.join(allowed)}."
    return JsonResponse(
        body(405, "method_not_allowed", message), status=405, headers={"Allow": ", ".join(allowed)}
    )


def bad_request(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    message = "The request is malformed."
    if isinstance(exception, DisallowedHost):
        host = request.META.get("HTTP_HOST", "")[:200]
        message = (
            f"The host `{host}` is not served here. The setting ALLOWED_HOSTS names those that are."
        )
    return JsonResponse(body(400, "bad_request", message), status=400)


def server_error(request: HttpRequest) -> JsonResponse:
    message = f"Something broke here. Quote x-request-id {request_id.get()} when you report it."
    return JsonResponse(body(500, "internal_server_error", message), status=500)
