from celery import shared_task

from core.queue.worker_loop import drain
from domains.verification import check_due


@shared_task
def check_due_domains() -> int:
    """Check all due domains at SES, and finish pending deletions."""
    return drain("domains.tasks.check_due_domains", check_due)
