"""Attachments, from a request to the blob store, and back for the provider."""

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
from emails.api.attachment_fields import Attachment
from emails.api.bodies import SendEmail
from emails.content.mime import Part
from emails.models import Email, EmailAttachment
from emails.providers import NotTaken, Refused

PREFIX = "emails/"
LINK_LASTS = timedelta(minutes=15)
_AT_ONCE = 8  # blobs on their way to the store, a request
_TURN = 10.0  # seconds to wait for memory: well within the part of a lease before the call


def stored(emails: Sequence[Email], requests: Sequence[SendEmail]) -> list[EmailAttachment]:
    """Write the blobs of the emails' attachments; the rows to insert."""
    rows = [
        (_row(email, place, each, pk), each.content or b"")
        for email, request in zip(emails, requests, strict=True)
        if request.attachments
        # Newest first, as lists of the API are, is then the order in which they were given.
        for (place, each), pk in zip(
            enumerate(request.attachments),
            reversed([uuid7() for _ in request.attachments]),
            strict=True,
        )
    ]
    if rows:
        put = blobs().put
        with ThreadPoolExecutor(min(_AT_ONCE, len(rows))) as pool:
            list(pool.map(lambda pair: put(pair[0].blob_key, pair[1]), rows))
    return [row for row, _ in rows]


def of(emails: Sequence[Email]) -> dict[UUID, list[EmailAttachment]]:
    """Their attachments, in order; no query for emails that have none."""
    having = [email.pk for email in emails if email.attachment_count]
    found: dict[UUID, list[EmailAttachment]] = {pk: [] for pk in having}
    if having:
        for row in EmailAttachment.objects.filter(email__in=having).order_by("email", "position"):
            found[row.email_id].append(row)
    return found


@contextmanager
def loaded(rows: Sequence[EmailAttachment]) -> Iterator[list[Part]]:
    """The attachments with their bytes, for as long as they are needed.

    NotTaken when the store or memory can't be had now, Refused when a blob is gone.
    """
    if not rows:
        yield []
        return
    with _in_hand.holding(sum(row.size for row in rows)):
        yield [Part(row, _content(row)) for row in rows]


def download_url(row: EmailAttachment, *, expires_at: datetime | None = None) -> str:
    """For anybody, for a quarter of an hour unless told."""
    return blobs().signed_url(
        row.blob_key,
        filename=row.filename,
        content_type=row.content_type,
        expires_at=expires_at or timezone.now() + LINK_LASTS,
    )


def blob_key(email_id: UUID, place: int) -> str:
    """`emails/<day>/<hour>-<minute>/<email>.<place>`: in the order of time, and any number."""
    return f"{PREFIX}{time_of(email_id):%Y-%m-%d/%H-%M}/{email_id}.{place}"


def _row(email: Email, place: int, attachment: Attachment, pk: UUID) -> EmailAttachment:
    content = attachment.content or b""
    return EmailAttachment(
        id=pk,
        email_id=email.pk,
        position=place,
        filename=attachment.name,
        content_type=attachment.type,
        content_id=attachment.cid,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        blob_key=blob_key(email.pk, place),
    )


def _content(row: EmailAttachment) -> bytes:
    try:
        return blobs().read(row.blob_key)
    except BlobMissing:
        raise Refused(f"The attachment {row.filename} is gone from the blob store.") from None
    except BlobStoreUnavailable as error:
        raise NotTaken(f"The attachment {row.filename} could not be read: {error}") from error


class _Budget:
    """Bytes that may be in hand at once in this process; a mail larger than that goes alone."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._taken = 0

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        with self._free:
            if not self._free.wait_for(lambda: self._fits(size), timeout=_TURN):
                raise NotTaken("Too many large attachments are being sent at this moment.")
            self._taken += size
        try:
            yield
        finally:
            with self._free:
                self._taken -= size
                self._free.notify_all()

    def _fits(self, size: int) -> bool:
        return not self._taken or self._taken + size <= settings.ATTACHMENT_BYTES_IN_FLIGHT


_in_hand = _Budget()
