from celery import shared_task

from core import wake
from core.draining import drain
from emails.hits import take_in_hits
from emails.orphans import delete_orphans
from emails.outcomes import settle_unknown
from emails.sending import send_due


@shared_task
def send_due_emails() -> int:
    """Every email that is due has been handed to the provider."""
    wake.heard("emails.tasks.send_due_emails")
    return send_due()


@shared_task
def forget_orphaned_blobs() -> int:
    """No blob is left for long without the row of its attachment."""
    return delete_orphans()


@shared_task
def settle_unknown_sends() -> int:
    """No send is in doubt for longer than the lease and the grace."""
    return settle_unknown()


@shared_task
def take_in_due_hits() -> int:
    """Every open and click that is due has become a fact about its email."""
    return drain("emails.tasks.take_in_due_hits", take_in_hits)
