from celery import shared_task
from django.conf import settings

from core.queue.retention import purge
from core.queue.worker_loop import drain
from webhooks import queues
from webhooks.cleanup import clean_up
from webhooks.models import Attempt, EndpointHour, Recovery


@shared_task
def deliver_due_webhooks() -> int:
    """Attempt every due delivery."""
    return drain(queues.DELIVER)


@shared_task
def recover_due_webhooks() -> int:
    """Finish every due recovery."""
    return drain(queues.RECOVER)


@shared_task
def clean_up_endpoints() -> int:
    """Fail pending deliveries of disabled endpoints and remove deleted endpoints."""
    return clean_up()


@shared_task
def purge_old_attempts() -> int:
    """Purge attempts past ATTEMPT_RETENTION."""
    return purge(
        Attempt.objects.all(),
        column="at",
        older_than=settings.ATTEMPT_RETENTION,
        task=queues.PURGE_ATTEMPTS.task,
    )


@shared_task
def purge_old_endpoint_hours() -> int:
    """Purge hourly counts together with the attempts of that hour."""
    return purge(
        EndpointHour.objects.all(),
        column="hour",
        older_than=settings.ATTEMPT_RETENTION,
        task=queues.PURGE_HOURS.task,
    )


@shared_task
def purge_old_recoveries() -> int:
    """Purge finished recoveries past ATTEMPT_RETENTION."""
    # People start recoveries: there are so few that `created_at` needs no index.
    return purge(
        Recovery.objects.filter(next_attempt_at=None),
        column="created_at",
        older_than=settings.ATTEMPT_RETENTION,
        task=queues.PURGE_RECOVERIES.task,
    )
