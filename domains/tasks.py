from celery import shared_task

from core.queue.worker_loop import drain
from domains.verification import check_due


@shared_task
def check_due_domains() -> int:
    """Every domain that is due has been looked up at SES."""
    return drain("domains.tasks.check_due_domains", check_due)
