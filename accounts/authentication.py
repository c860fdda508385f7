"""`Authorization: Bearer os_...`: one indexed look-up by the key's SHA-256."""

import hashlib
import logging
from datetime import timedelta
from typing import Any

from django.db import Error
from django.db.models import Q
from django.utils import timezone
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.access import Access
from accounts.models import ApiKey, Workspace
from accounts.rate_limit import acquire_failure
from core import metrics
from core.api.client_address import client_network
from core.db.hot_queries import Lookup
from core.db.outages import is_outage

logger = logging.getLogger(__name__)

USED_RESOLUTION = timedelta(minutes=1)

_LIVE_KEYS = Lookup(
    ApiKey, "row.digest = %(digest)s AND row.revoked_at IS NULL", related="workspace"
)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """Sets `request.user` to the workspace and `request.auth` to the caller's Access."""

    def authenticate(self, request: Request) -> tuple[Workspace, Access]:
        try:
            key = self._key(request)
        except (exceptions.NotAuthenticated, exceptions.AuthenticationFailed):
            _limit_failures(request)
            raise
        _mark_used(key)
        return key.workspace, Access.of_api_key(key)

    def _key(self, request: Request) -> ApiKey:
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
        return key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ApiRequest(Request):
    """What a view gets once the caller is authenticated; for type checkers."""

    auth: Access
    user: Any


def _find(token: str) -> ApiKey | None:
    return next(iter(_LIVE_KEYS(digest=digest(token))), None)


def _limit_failures(request: Request) -> None:
    """Throttled (429) when too many requests from the client's address had no valid key."""
    network = client_network(request._request)
    verdict = acquire_failure(network)
    if verdict is None or verdict.allowed:
        metrics.AUTH_FAILURES.labels("api_key").inc()
        if verdict is not None and verdict.remaining == 0:
            text = "Too many requests without a valid API key; limiting this address"
            logger.warning(text, extra={"network": network})
        return
    metrics.AUTH_FAILURES.labels("api_key_limited").inc()
    raise exceptions.Throttled(
        verdict.retry_after,
        # DRF appends the seconds.
        "Too many requests from this address had no valid API key. A valid key works at once.",
    )


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
