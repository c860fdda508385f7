from celery import shared_task

from core.queue import wake
from core.queue.worker_loop import drain
from emails.facts.opens_and_clicks import record_hits
from emails.orphan_blobs import delete_orphans
from emails.sending.loop import send_due
from emails.sending.send_results import resolve_unknown


@shared_task
def send_due_emails() -> int:
    """Send every due email to the provider."""
    wake.heard("emails.tasks.send_due_emails")
    return send_due()


@shared_task
def purge_orphaned_blobs() -> int:
    """Delete blobs that no attachment row refers to."""
    return delete_orphans()


@shared_task
def resolve_unknown_sends() -> int:
    """Resolve sends whose lease, and then whose grace, has expired."""
    return resolve_unknown()


@shared_task
def record_due_hits() -> int:
    """Record every due open and click as a fact about its email."""
    return drain("emails.tasks.record_due_hits", record_hits)
