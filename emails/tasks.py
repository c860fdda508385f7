from celery import shared_task

from core.queue.worker_loop import drain
from emails import queues, retention
from emails.orphan_blobs import delete_orphans


@shared_task
def send_due_emails() -> int:
    """Send every due email to the provider."""
    return drain(queues.SEND)


@shared_task
def purge_orphaned_blobs() -> int:
    """Delete blobs that no attachment row refers to."""
    return delete_orphans()


@shared_task
def purge_old_content() -> int:
    """Purge texts, headers and attachments of final mail past EMAIL_CONTENT_RETENTION_DAYS."""
    return retention.purge_content()


@shared_task
def purge_old_emails() -> int:
    """Delete final mail past EMAIL_RETENTION_DAYS, with its recipients and facts."""
    return retention.purge_emails()


@shared_task
def resolve_unknown_sends() -> int:
    """Resolve sends whose lease, and then whose grace, has expired, and expire held mail."""
    return drain(queues.RESOLVE_UNKNOWN)


@shared_task
def record_due_hits() -> int:
    """Record every due open and click as a fact about its email."""
    return drain(queues.RECORD_HITS)
