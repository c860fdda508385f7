"""Stores attachments in the blob store and loads them for the provider."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from core.blobs import BlobMissing, BlobStoreUnavailable, blobs
from core.db.ids import time_of, uuid7
from core.server.waits import Waits
from emails.content.mime import Part
from emails.content.outgoing_message import OutgoingAttachment, OutgoingMessage, StoredBlob
from emails.models import Email, EmailAttachment
from emails.providers import NotTaken, Refused

PREFIX = "emails/"
LINK_LIFETIME = timedelta(minutes=15)
_MAX_UPLOADS = 8  # concurrent blob writes per request
# Requests that write attachments at a time: S3 may take a minute to fail.
_WRITES = Waits(
    lambda: BlobStoreUnavailable("Too many attachments are being stored. Retry later."),
    in_all=8,
    per_workspace=6,
    patience=2.0,
)
_MEMORY_TIMEOUT = 10.0  # seconds; well within the part of a lease before the call


def store(emails: Sequence[Email], messages: Sequence[OutgoingMessage]) -> list[EmailAttachment]:
    """Write the blobs of the emails' attachments; the rows to insert.

    BlobMissing if a StoredBlob is gone, BlobStoreUnavailable if the store is, or is too slow.
    """
    attachments = [
        (email, position, attachment, pk)
        for email, message in zip(emails, messages, strict=True)
        if message.attachments
        # Lists of the API are newest first, so reversed ids keep the order of the request.
        for (position, attachment), pk in zip(
            enumerate(message.attachments),
            reversed([uuid7() for _ in message.attachments]),
            strict=True,
        )
    ]
    if not attachments:
        return []
    with (
        _WRITES.wait(emails[0].workspace_id),
        ThreadPoolExecutor(min(_MAX_UPLOADS, len(attachments))) as pool,
    ):
        return list(pool.map(lambda each: _store(*each), attachments))


def by_email(emails: Sequence[Email]) -> dict[UUID, list[EmailAttachment]]:
    """Attachments by email, in order; no query if no email has any."""
    ids = [email.pk for email in emails if email.attachment_count]
    attachments: dict[UUID, list[EmailAttachment]] = {pk: [] for pk in ids}
    if ids:
        for row in EmailAttachment.objects.filter(email__in=ids).order_by("email", "position"):
            attachments[row.email_id].append(row)
    return attachments


@contextmanager
def load(rows: Sequence[EmailAttachment]) -> Iterator[list[Part]]:
    """The attachments with their bytes, which count against the memory budget until the exit.

    NotTaken if the blob store is unavailable or the budget is used up, Refused if a blob is gone.
    """
    if not rows:
        yield []
        return
    with _memory_budget.reserve(sum(row.size for row in rows)):
        yield [Part(row, _content(row)) for row in rows]


def download_url(row: EmailAttachment, *, expires_at: datetime | None = None) -> str:
    """A public signed URL; it expires after LINK_LIFETIME by default."""
    return blobs().signed_url(
        row.blob_key,
        filename=row.filename,
        content_type=row.content_type,
        expires_at=expires_at or timezone.now() + LINK_LIFETIME,
    )


def blob_key(email_id: UUID, position: int) -> str:
    """`emails/<day>/<hour>-<minute>/<email>.<position>`: keys sort by time."""
    return f"{PREFIX}{time_of(email_id):%Y-%m-%d/%H-%M}/{email_id}.{position}"


def _store(
    email: Email, position: int, attachment: OutgoingAttachment, pk: UUID
) -> EmailAttachment:
    """Each email has blobs of its own: a row never names a blob that another app may delete."""
    content, key = attachment.content, blob_key(email.pk, position)
    if isinstance(content, StoredBlob):
        content = blobs().read(content.key)
    blobs().put(key, content)
    return EmailAttachment(
        id=pk,
        email_id=email.pk,
        position=position,
        filename=attachment.filename,
        content_type=attachment.content_type,
        content_id=attachment.content_id,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        blob_key=key,
    )


def _content(row: EmailAttachment) -> bytes:
    try:
        return blobs().read(row.blob_key)
    except BlobMissing:
        raise Refused(f"The attachment {row.filename} is missing from the blob store.") from None
    except BlobStoreUnavailable as error:
        raise NotTaken(f"The attachment {row.filename} could not be read: {error}") from error


class _MemoryBudget:
    """Limits the attachment bytes in memory of this process; a larger email is sent alone."""

    def __init__(self) -> None:
        self._released = threading.Condition()
        self._used = 0

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        with self._released:
            if not self._released.wait_for(lambda: self._fits(size), timeout=_MEMORY_TIMEOUT):
                raise NotTaken("Too many large attachments are being sent right now.")
            self._used += size
        try:
            yield
        finally:
            with self._released:
                self._used -= size
                self._released.notify_all()

    def _fits(self, size: int) -> bool:
        return not self._used or self._used + size <= settings.ATTACHMENT_BYTES_IN_FLIGHT


_memory_budget = _MemoryBudget()
