"""`Idempotency-Key`: a repeated POST gets the first one's answer and does nothing again.

The record of the answer commits in the transaction of the work itself, so there is no moment
at which one exists without the other. While that transaction runs, an advisory lock of the same
transaction tells others that the key is in use; the lock ends with its connection, so a process
that dies leaves nothing behind. What runs after the commit holds the key by a lease on the record.
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
FINISHING_LEASE = timedelta(minutes=2)  # longer than all calls to SES for one domain may take
REPLAYED = "Idempotent-Replayed"
_HEADER = "HTTP_IDEMPOTENCY_KEY"


class InvalidIdempotencyKey(DomainError):
    name = "invalid_idempotency_key"
    status = 400


class InvalidIdempotentRequest(Conflict):
    name = "invalid_idempotent_request"


def idempotent(
    request: ApiRequest,
    route: str,
    act: Callable[[], Response],
    *,
    variant: str = "",
    afterwards: Callable[[Response], Any] | None = None,
) -> Response:
    """Run `act` once for this request's Idempotency-Key, if it has one.

    `act` raises to refuse with nothing written; a 4xx that it returns keeps what it wrote, and
    neither uses the key up. `variant` is what changes the meaning of the body, such as a header.
    `afterwards` is what must run once `act` is committed, with no transaction open: it makes the
    body that is answered, also to repetitions, which are refused until it is done. It isn't run for
    those nor for a 4xx. Where it breaks off, repetitions get what `act` answered.
    """
    key = request.META.get(_HEADER)
    lease = FINISHING_LEASE if afterwards else None
    response = act() if key is None else _once(request, route, key, act, variant, lease)
    if afterwards is None or response.status_code >= 400 or REPLAYED in response.headers:
        return response
    try:
        response.data = afterwards(response)
    finally:
        if key is not None:
            IdempotencyRecord.objects.filter(
                workspace=request.auth.workspace, route=route, key=key
            ).update(encrypted_body=_sealed(response), unfinished_until=None)
    return response


def kept_answer(request: ApiRequest, route: str, *, variant: str = "") -> Response | None:
    """What a repetition of this request gets, looked up without waiting for a first one."""
    key = request.META.get(_HEADER)
    kept = _find(request.auth.workspace, route, key) if key else None
    return _replay(kept, _fingerprint(request.data, variant)) if kept else None


def _once(
    request: ApiRequest,
    route: str,
    key: str,
    act: Callable[[], Response],
    variant: str,
    lease: timedelta | None,
) -> Response:
    # Granian hands over a header with any other character as an empty one.
    if not (1 <= len(key) <= 256 and key.isascii()):
        raise InvalidIdempotencyKey(
            "The Idempotency-Key must have 1 to 256 characters, all of them ASCII."
        )
    workspace = request.auth.workspace
    fingerprint = _fingerprint(request.data, variant)
    with transaction.atomic():
        if not _lock(workspace, route, key):
            return _in_flight()
        if (kept := _find(workspace, route, key)) is not None:
            return _replay(kept, fingerprint)
        response = act()
        if response.status_code < 400:
            IdempotencyRecord.objects.create(
                workspace=workspace,
                route=route,
                key=key,
                fingerprint=fingerprint,
                status=response.status_code,
                encrypted_body=_sealed(response),
                unfinished_until=Now() + lease if lease else None,
            )
        return response


def _sealed(response: Response) -> str:
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
    if kept and kept.created_at < timezone.now() - _kept_for():
        kept.delete()
        return None
    return kept


def _kept_for() -> timedelta:
    kept_for: timedelta = settings.IDEMPOTENCY_RETENTION
    return kept_for


def _replay(kept: IdempotencyRecord, fingerprint: str) -> Response:
    if kept.fingerprint != fingerprint:
        raise InvalidIdempotentRequest(
            "This Idempotency-Key was used with another request body. Use a new key."
        )
    if kept.unfinished_until and _is_held(kept):
        return _in_flight()
    body = orjson.loads(crypto.decrypt(kept.encrypted_body))
    return Response(body, status=kept.status, headers={REPLAYED: "true"})


def _is_held(kept: IdempotencyRecord) -> bool:
    """By the database's clock, which wrote the time."""
    return IdempotencyRecord.objects.filter(pk=kept.pk, unfinished_until__gt=Now()).exists()


def _in_flight() -> Response:
    return Response(
        {
            "statusCode": 409,
            "name": "concurrent_idempotent_requests",
            "message": "A request with this Idempotency-Key is still running. Try again.",
        },
        status=409,
        headers={"Retry-After": str(RETRY_AFTER)},
    )
