from celery import shared_task
from django.conf import settings

from core.queue.retention import purge
from core.queue.worker_loop import drain
from ingest.models import ProviderEvent
from ingest.processing import process_due


@shared_task
def process_due_events() -> int:
    """Every callback that is due has been understood, shelved or put off."""
    return drain("ingest.tasks.process_due_events", process_due)


@shared_task
def purge_old_provider_events() -> int:
    """Settled callbacks past their retention are gone."""
    settled = ProviderEvent.objects.filter(next_attempt_at=None)
    return purge(
        settled,
        column="received_at",
        older_than=settings.PROVIDER_EVENT_RETENTION,
        task="ingest.tasks.purge_old_provider_events",
    )
