"""`Idempotency-Key`: a repeated POST gets the first one's answer and does nothing again.

The record of the answer commits in the transaction of the work itself, so neither exists without
the other. While that transaction runs, an advisory lock of the same transaction marks the key as in
use; the lock ends with its connection, so a process that dies leaves nothing behind. Work after the
commit holds the key by a lease on the record.

The API keys of a workspace share the answers, so what one of them may not do is refused before: by
its scopes (accounts.permissions) and by its limits (BodyReader.authorise).
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.exceptions import ParseError
from rest_framework.response import Response

from accounts.authentication import ApiRequest
from accounts.models import IdempotencyRecord, Workspace
from core.errors import Conflict, DomainError
from core.security import crypto

RETRY_AFTER = 1
FOLLOW_UP_LEASE = timedelta(minutes=2)  # longer than all calls to SES for one domain may take
REPLAYED = "Idempotent-Replayed"
MAX_ROUTE = 200  # characters of IdempotencyRecord.route
_HEADER = "HTTP_IDEMPOTENCY_KEY"


class InvalidIdempotencyKey(DomainError):
    name = "invalid_idempotency_key"
    status = 400


class InvalidIdempotentRequest(Conflict):
    name = "invalid_idempotent_request"


class ConcurrentIdempotentRequests(Conflict):
    name = "concurrent_idempotent_requests"
    headers = {"Retry-After": str(RETRY_AFTER)}

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is still running. Try again.")


def idempotent(request: ApiRequest, act: Callable[[], Response], *, variant: str = "") -> Response:
    """Run `act` once for this request's Idempotency-Key, if it has one.

    `act` raises to refuse with nothing written; a 4xx that it returns keeps what it wrote, and
    neither uses the key up. `variant` is what changes the meaning of the body, such as a header.
    A callable that `act` leaves as `follow_up` on its response runs after the commit with no
    transaction open, and its response is the final one.
    """
    key = request.META.get(_HEADER)
    response = act() if key is None else _once(request, key, act, variant)
    follow_up: Callable[[], Response] | None = getattr(response, "follow_up", None)
    if follow_up is None or response.status_code >= 400:
        return response
    try:
        response = follow_up()
    finally:
        if key is not None:
            IdempotencyRecord.objects.filter(
                workspace=request.auth.workspace, route=_route(request), key=key
            ).update(encrypted_body=_encrypted(response), unfinished_until=None)
    return response


def kept_answer(request: ApiRequest, *, variant: str = "") -> Response | None:
    """The answer to a repetition of this request, without waiting for a first one that runs."""
    key = request.META.get(_HEADER)
    kept = _find(request.auth.workspace, _route(request), key) if key else None
    return _replay(kept, _fingerprint(request.data, variant)) if kept else None


def _route(request: ApiRequest) -> str:
    """The method and the path, which is the same under /api/...: `POST /emails`."""
    match = request._request.resolver_match
    assert match is not None
    assert request.method is not None
    route = match.route.removeprefix("api/")
    for name, value in match.kwargs.items():
        route = route.replace(f"<str:{name}>", value)
    named = f"{request.method} /{route}"
    if len(named) <= MAX_ROUTE:
        return named
    # An id can be spelled at any length: Python's UUID() ignores hyphens.
    return f"{request.method} {hashlib.sha256(named.encode()).hexdigest()}"


def _once(request: ApiRequest, key: str, act: Callable[[], Response], variant: str) -> Response:
    # Granian hands over a header with any other character as an empty one.
    if not (1 <= len(key) <= 256 and key.isascii()):
        raise InvalidIdempotencyKey(
            "The Idempotency-Key must have 1 to 256 characters, all of them ASCII."
        )
    workspace, route = request.auth.workspace, _route(request)
    fingerprint = _fingerprint(request.data, variant)
    with transaction.atomic():
        if not _lock(workspace, route, key):
            raise ConcurrentIdempotentRequests
        if (kept := _find(workspace, route, key)) is not None:
            return _replay(kept, fingerprint)
        response = act()
        if response.status_code < 400:
            has_follow_up = hasattr(response, "follow_up")
            IdempotencyRecord.objects.create(
                workspace=workspace,
                route=route,
                key=key,
                fingerprint=fingerprint,
                status=response.status_code,
                encrypted_body=_encrypted(response),
                unfinished_until=Now() + FOLLOW_UP_LEASE if has_follow_up else None,
            )
        return response


def _encrypted(response: Response) -> str:
    return crypto.encrypt(orjson.dumps(response.data).decode())


def _fingerprint(data: Any, variant: str) -> str:
    try:
        canonical = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:  # it reads 1,024 levels and writes 254
        raise ParseError("The request body is nested too deeply.") from error
    return hashlib.sha256(variant.encode() + b"\n" + canonical).hexdigest()


def _lock(workspace: Workspace, route: str, key: str) -> bool:
    name = hashlib.sha256(f"{workspace.pk}\n{route}\n{key}".encode()).digest()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(%s)", [int.from_bytes(name[:8], "big", signed=True)]
        )
        (locked,) = cursor.fetchone() or (False,)
    return bool(locked)


def _find(workspace: Workspace, route: str, key: str) -> IdempotencyRecord | None:
    records = IdempotencyRecord.objects.filter(workspace=workspace, route=route, key=key)
    kept = records.first()
    if kept and kept.created_at < timezone.now() - _retention():
        kept.delete()
        return None
    return kept


def _retention() -> timedelta:
    retention: timedelta = settings.IDEMPOTENCY_RETENTION
    return retention


def _replay(kept: IdempotencyRecord, fingerprint: str) -> Response:
    if kept.fingerprint != fingerprint:
        raise InvalidIdempotentRequest(
            "This Idempotency-Key was used with another request body. Use a new key."
        )
    if kept.unfinished_until and _is_leased(kept):
        raise ConcurrentIdempotentRequests
    body = orjson.loads(crypto.decrypt(kept.encrypted_body))
    return Response(body, status=kept.status, headers={REPLAYED: "true"})


def _is_leased(kept: IdempotencyRecord) -> bool:
    """By the database's clock, which wrote the time."""
    return IdempotencyRecord.objects.filter(pk=kept.pk, unfinished_until__gt=Now()).exists()
