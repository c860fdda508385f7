from celery import shared_task
from django.conf import settings

from core.queue.retention import purge
from core.queue.worker_loop import drain
from ingest import queues
from ingest.models import ProviderEvent


@shared_task
def process_due_events() -> int:
    """Process all due SES events."""
    return drain(queues.PROCESS_SES)


@shared_task
def purge_old_provider_events() -> int:
    """Delete finished callbacks that are past their retention."""
    finished = ProviderEvent.objects.filter(next_attempt_at=None)
    return purge(
        finished,
        column="received_at",
        older_than=settings.PROVIDER_EVENT_RETENTION,
        task=queues.PURGE.task,
    )
