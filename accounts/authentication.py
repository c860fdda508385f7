"""`Authorization: Bearer os_...`: one indexed look-up by the key's SHA-256."""

import hashlib
from datetime import timedelta
from typing import Any

from django.db import Error
from django.db.models import Q
from django.utils import timezone
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.access import Access
from accounts.models import ApiKey, Workspace
from core.db.hot_queries import Lookup
from core.db.outages import is_outage

USED_RESOLUTION = timedelta(minutes=1)

_LIVE_KEYS = Lookup(
    ApiKey, "row.digest = %(digest)s AND row.revoked_at IS NULL", related="workspace"
)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """Sets `request.user` to the workspace and `request.auth` to the caller's Access."""

    def authenticate(self, request: Request) -> tuple[Workspace, Access]:
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
        if not scheme:
            # Granian hands over a header with any other character as an empty one.
            raise exceptions.NotAuthenticated(
                "The API key is missing: send the header `Authorization: Bearer os_...`, in ASCII "
                "characters only."
            )
        if scheme.lower() != "bearer" or not token.strip():
            raise exceptions.NotAuthenticated(
                "The Authorization header must have the form `Bearer os_...`."
            )
        key = _find(token.strip())
        if key is None:
            raise exceptions.AuthenticationFailed("The API key is unknown or revoked.")
        _mark_used(key)
        return key.workspace, Access.of_api_key(key)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ApiRequest(Request):
    """What a view gets once the caller is authenticated; for type checkers."""

    auth: Access
    user: Any


def _find(token: str) -> ApiKey | None:
    return next(iter(_LIVE_KEYS(digest=digest(token))), None)


def _mark_used(key: ApiKey) -> None:
    """At most once a minute a key, whatever its traffic."""
    now = timezone.now()
    stale = now - USED_RESOLUTION
    if key.last_used_at is None or key.last_used_at < stale:
        unmarked = Q(last_used_at=None) | Q(last_used_at__lt=stale)
        try:
            ApiKey.objects.filter(unmarked, pk=key.pk).update(last_used_at=now)
        except Error as error:
            if not is_outage(error):  # a standby, or a full disk: reading still works
                raise
