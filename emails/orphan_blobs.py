"""Blobs whose email never came to be, or is gone.

The store is walked from its oldest key to those of a day ago, a slice at a time; then it is left
alone for a day. How far the walk got is in Redis: without it, it begins anew.
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
_AGE = timedelta(days=1)  # no request takes that long between blob and row
_REST = timedelta(days=1)
_REACHED = "emails:orphans:reached"
_DONE = "~"  # behind every key


def delete_orphans() -> int:
    """Look through one slice of the store; how many blobs were deleted."""
    # A moment's first key: all of that minute are behind it or begin with it.
    end = blob_key(uuid7_floor(timezone.now() - _AGE), 0).rpartition("/")[0]
    until = time.monotonic() + SLICE_SECONDS
    deleted, reached = 0, _reached()
    while reached != _DONE and time.monotonic() < until and not stopping.is_set():
        keys = blobs().keys(PREFIX, after=reached, limit=_PAGE)
        old = [key for key in keys if key < end]
        deleted += _delete(old)
        reached = old[-1] if len(old) == _PAGE else _DONE
        _remember(reached)
    return deleted


def _delete(keys: list[str]) -> int:
    emails = {email for key in keys if (email := _email_of(key))}
    rows = EmailAttachment.objects.filter(email__in=emails)
    wanted = set(rows.values_list("blob_key", flat=True))
    if orphans := [key for key in keys if key not in wanted]:
        blobs().delete(orphans)
    return len(orphans)


def _email_of(key: str) -> UUID | None:
    try:
        return UUID(key.rpartition("/")[2].partition(".")[0])
    except ValueError:
        return None


def _reached() -> str:
    found = redis.attempt("orphans", lambda client: client.get(_REACHED))
    return found.decode() if isinstance(found, bytes) else ""


def _remember(reached: str) -> None:
    redis.attempt("orphans", lambda client: client.set(_REACHED, reached, ex=_REST))
