"""Attachments that are given by their address."""

from time import monotonic
from typing import Any

from django.conf import settings
from django.db import connection

from core.errors import ValidationFailed
from core.outbound import OutboundPolicy, fetch
from emails.api.bodies import TOO_LARGE, SendEmail
from emails.content.sizes import base64_size

PATIENCE = 15.0  # seconds for all that one request of the API names


def are_named(data: Any) -> bool:
    """Whether the body of a request, not read yet, names any file by its address."""
    bodies = data if isinstance(data, list) else [data]
    given = [each.get("attachments") for each in bodies if isinstance(each, dict)]
    files = [file for files in given if isinstance(files, list) for file in files]
    return any(isinstance(file, dict) and "path" in file for file in files)


class Fetching:
    """What one request of the API fetches: one file after the other, all in one span of time."""

    def __init__(self) -> None:
        self._until = monotonic() + PATIENCE

    def fill(self, request: SendEmail, *, prefix: str = "") -> None:
        """Give the attachments their bytes; ValidationFailed names the one that can't be had."""
        for place, each in enumerate(request.attachments):
            if each.path is not None:
                room = request.room()
                each.content = self._get(each.path, f"{prefix}attachments.{place}.path", room)

    def _get(self, url: str, field: str, room: int) -> bytes:
        left = self._until - monotonic()
        if left <= 0:
            raise ValidationFailed({field: f"could not be fetched: {PATIENCE:g} s were over"})
        policy = OutboundPolicy(
            allow_http=settings.ATTACHMENT_ALLOW_HTTP,
            allowed_networks=tuple(settings.ATTACHMENT_ALLOWED_NETWORKS),
        )
        if not connection.in_atomic_block:
            connection.close()  # others can have it while we wait
        # One byte more than fits in any way, so that nothing is cut unnoticed.
        outcome = fetch(url, policy=policy, timeout=left, max_body=room + 1)
        if outcome.error is not None:
            raise ValidationFailed({field: f"could not be fetched: {outcome.message}"})
        if outcome.status != 200:
            raise ValidationFailed(
                {field: f"could not be fetched: it answers {outcome.status} instead of 200"}
            )
        if base64_size(len(outcome.body)) > room:
            raise ValidationFailed({field: TOO_LARGE})
        return outcome.body
