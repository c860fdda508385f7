from celery import shared_task
from django.conf import settings

from core.queue.retention import purge
from tracking import queues
from tracking.models import Hit


@shared_task
def purge_old_hits() -> int:
    """Delete hits older than HIT_RETENTION, and with them the networks they came from."""
    return purge(
        Hit.objects.filter(next_attempt_at=None),
        column="at",
        older_than=settings.HIT_RETENTION,
        task=queues.PURGE.task,
    )
