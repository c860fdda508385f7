"""Deletes orphaned blobs: their email was never committed, or it is deleted.

A scan goes from the oldest key to those of a day ago, one slice per run, and starts again a day
after it has finished. Its position is in Redis; without Redis it starts from the beginning.
"""

import time
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from core import redis
from core.blobs import blobs
from core.db.ids import uuid7_floor
from core.queue.worker_loop import stopping
from emails.content.attachments import PREFIX, blob_key
from emails.models import EmailAttachment

SLICE_SECONDS = 0.5
_PAGE = 1000
_AGE = timedelta(days=1)  # no request takes that long between writing the blob and the row
_RESCAN_AFTER = timedelta(days=1)
_POSITION_KEY = "emails:orphans:reached"
_END = "~"  # sorts after every key


def delete_orphans() -> int:
    """Scan one slice of the store; the number of deleted blobs."""
    # The prefix of that minute: keys of the same minute or later don't sort before it.
    end = blob_key(uuid7_floor(timezone.now() - _AGE), 0).rpartition("/")[0]
    until = time.monotonic() + SLICE_SECONDS
    deleted, position = 0, _load_position()
    while position != _END and time.monotonic() < until and not stopping.is_set():
        keys = blobs().keys(PREFIX, after=position, limit=_PAGE)
        old = [key for key in keys if key < end]
        deleted += _delete(old)
        position = old[-1] if len(old) == _PAGE else _END
        _save_position(position)
    return deleted


def _delete(keys: list[str]) -> int:
    emails = {email_id for key in keys if (email_id := _email_id(key))}
    rows = EmailAttachment.objects.filter(email__in=emails)
    used = set(rows.values_list("blob_key", flat=True))
    if orphans := [key for key in keys if key not in used]:
        blobs().delete(orphans)
    return len(orphans)


def _email_id(key: str) -> UUID | None:
    try:
        return UUID(key.rpartition("/")[2].partition(".")[0])
    except ValueError:
        return None


def _load_position() -> str:
    stored = redis.attempt("orphans", lambda client: client.get(_POSITION_KEY))
    return stored.decode() if isinstance(stored, bytes) else ""


def _save_position(position: str) -> None:
    redis.attempt("orphans", lambda client: client.set(_POSITION_KEY, position, ex=_RESCAN_AFTER))
