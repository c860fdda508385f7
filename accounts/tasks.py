from celery import shared_task
from django.conf import settings

from accounts.models import IdempotencyRecord
from core.retention import forget


@shared_task
def forget_old_idempotency_records() -> int:
    return forget(
        IdempotencyRecord.objects.all(),
        column="created_at",
        older_than=settings.IDEMPOTENCY_RETENTION,
        task="accounts.tasks.forget_old_idempotency_records",
    )
