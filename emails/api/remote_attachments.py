"""Fetches attachments that are given by URL."""

from time import monotonic
from typing import Any
from uuid import UUID

from django.conf import settings

from core.errors import ValidationFailed
from core.outbound import OutboundPolicy, fetch
from core.server.waits import TooManyWaits, Waits
from emails.api.bodies import SendEmail
from emails.content.outgoing_message import TOO_LARGE
from emails.content.sizes import base64_size

FETCH_TIMEOUT = 15.0  # seconds for all files of one API request
_WAITS = Waits(
    lambda: TooManyWaits(
        "too_many_fetches", "Other attachments of yours are still being fetched. Try again."
    ),
    in_all=8,
    per_workspace=4,
    patience=2.0,
)


def has_remote_attachments(data: Any) -> bool:
    """Whether an unparsed request body has an attachment with a `path`."""
    bodies = data if isinstance(data, list) else [data]
    lists = [each.get("attachments") for each in bodies if isinstance(each, dict)]
    files = [file for files in lists if isinstance(files, list) for file in files]
    return any(isinstance(file, dict) and "path" in file for file in files)


class AttachmentFetcher:
    """Fetches the files of one API request, one after the other, within one shared timeout."""

    def __init__(self, workspace_id: UUID) -> None:
        self._workspace_id = workspace_id
        self._until = monotonic() + FETCH_TIMEOUT

    def fetch(self, body: SendEmail, *, prefix: str = "") -> None:
        """Fill in the attachments' content; ValidationFailed names the one that fails."""
        for index, attachment in enumerate(body.attachments):
            if attachment.path is not None:
                room = body.to_message().room()
                field = f"{prefix}attachments.{index}.path"
                attachment.content = self._get(attachment.path, field, room)

    def _get(self, url: str, field: str, room: int) -> bytes:
        left = self._until - monotonic()
        if left <= 0:
            raise ValidationFailed({field: f"could not be fetched within {FETCH_TIMEOUT:g} s"})
        policy = OutboundPolicy(
            allow_http=settings.ATTACHMENT_ALLOW_HTTP,
            allowed_networks=tuple(settings.ATTACHMENT_ALLOWED_NETWORKS),
        )
        with _WAITS.wait(self._workspace_id):
            # One byte more than can fit, so that a truncated file is detected as too large.
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
