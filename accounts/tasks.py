from celery import shared_task
from django.conf import settings

from accounts.models import IdempotencyRecord
from core.queue.retention import purge


@shared_task
def purge_old_idempotency_records() -> int:
    return purge(
        IdempotencyRecord.objects.all(),
        column="created_at",
        older_than=settings.IDEMPOTENCY_RETENTION,
        task="accounts.tasks.purge_old_idempotency_records",
    )
