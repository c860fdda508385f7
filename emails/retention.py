"""Purges old mail: first its content, later the rest. Both are off unless their setting is set.

Only final mail is purged: it was sent, or never will be. Scheduled, queued and held mail, mail in
flight and unknown sends are kept however old they are.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from core.blobs import BlobStoreUnavailable, blobs
from core.queue.retention import SLICE_SECONDS, delete_rows
from core.queue.worker_loop import repeat
from emails import queues
from emails.models import Email, EmailAttachment

logger = logging.getLogger(__name__)

BATCH = 500  # emails have many dependent rows, and large texts
_MAX_DELETE = 1000  # blobs per call


def purge_content() -> int:
    """Purge texts, headers and attachments for one slice; the number of emails.

    What is to be deleted loses its content first, so that its blobs are deleted as well.
    """
    ages = [age for age in (settings.EMAIL_CONTENT_RETENTION, settings.EMAIL_RETENTION) if age]
    if not ages:
        return 0
    return repeat(
        queues.PURGE_CONTENT.task, lambda: _purge_content(min(ages)), seconds=SLICE_SECONDS
    )


def purge_emails() -> int:
    """Delete emails without content for one slice, with recipients and facts; their number."""
    age: timedelta | None = settings.EMAIL_RETENTION
    if not age:
        return 0
    return repeat(queues.PURGE_EMAILS.task, lambda: _delete(age), seconds=SLICE_SECONDS)


def _purge_content(age: timedelta) -> int:
    """One batch. The blobs go after the commit: those of a crash in between are orphans."""
    old = Email.objects.with_old_content(timezone.now() - age)
    with transaction.atomic():
        locked = old.select_for_update(of=("self",), skip_locked=True)
        ids = list(locked.values_list("pk", flat=True)[:BATCH])
        attachments = EmailAttachment.objects.filter(email__in=ids)
        keys = list(attachments.values_list("blob_key", flat=True))
        attachments.delete()
        Email.objects.filter(pk__in=ids).update(
            html="", text="", headers={}, content_purged_at=timezone.now()
        )
    _delete_blobs(keys)
    return len(ids)


def _delete_blobs(keys: list[str]) -> None:
    try:
        for start in range(0, len(keys), _MAX_DELETE):
            blobs().delete(keys[start : start + _MAX_DELETE])
    except BlobStoreUnavailable as error:
        logger.warning("Purged blobs are left to the scan", extra={"reason": str(error)})


def _delete(age: timedelta) -> int:
    deleted, _ = delete_rows(Email.objects.without_content_since(timezone.now() - age), limit=BATCH)
    return deleted
