from celery import shared_task
from django.conf import settings

from core.queue.retention import purge
from core.queue.worker_loop import drain
from ingest.models import ProviderEvent
from ingest.processing import process_due


@shared_task
def process_due_events() -> int:
    """Process all due callbacks."""
    return drain("ingest.tasks.process_due_events", process_due)


@shared_task
def purge_old_provider_events() -> int:
    """Delete finished callbacks that are past their retention."""
    finished = ProviderEvent.objects.filter(next_attempt_at=None)
    return purge(
        finished,
        column="received_at",
        older_than=settings.PROVIDER_EVENT_RETENTION,
        task="ingest.tasks.purge_old_provider_events",
    )
