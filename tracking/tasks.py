from celery import shared_task
from django.conf import settings

from core.retention import forget
from tracking.models import Hit


@shared_task
def forget_old_hits() -> int:
    """Nobody can tell any more where opens and clicks past their retention came from."""
    return forget(
        Hit.objects.filter(next_attempt_at=None),
        column="at",
        older_than=settings.HIT_RETENTION,
        task="tracking.tasks.forget_old_hits",
    )
