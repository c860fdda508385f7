from celery import shared_task
from django.conf import settings

from core import wake
from core.retention import forget
from webhooks.delivering import deliver_due
from webhooks.models import Attempt


@shared_task
def deliver_due_webhooks() -> int:
    """Every delivery that is due has been tried."""
    wake.heard("webhooks.tasks.deliver_due_webhooks")
    return deliver_due()


@shared_task
def forget_old_attempts() -> int:
    """Attempts past their retention are gone."""
    return forget(Attempt.objects.all(), column="at", older_than=settings.ATTEMPT_RETENTION)
