from celery import shared_task

from core.queue.worker_loop import drain
from domains import queues


@shared_task
def check_due_domains() -> int:
    """Check all due domains at SES, and finish pending deletions."""
    return drain(queues.CHECK)
