from celery import shared_task
from django.conf import settings

from core.queue import wake
from core.queue.retention import SLICE_SECONDS, purge
from core.queue.worker_loop import drain
from webhooks.cleanup import CLEAN_UP, clean_up_some
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Attempt, EndpointHour, Recovery
from webhooks.replay import RECOVER, recover_due


@shared_task
def deliver_due_webhooks() -> int:
    """Attempt every due delivery."""
    wake.heard("webhooks.tasks.deliver_due_webhooks")
    return deliver_due()


@shared_task
def recover_due_webhooks() -> int:
    """Finish every due recovery."""
    return drain(RECOVER, recover_due)


@shared_task
def clean_up_endpoints() -> int:
    """Fail pending deliveries of disabled endpoints and remove deleted endpoints."""
    return drain(CLEAN_UP, clean_up_some, slice_seconds=SLICE_SECONDS)


@shared_task
def purge_old_attempts() -> int:
    """Purge attempts past ATTEMPT_RETENTION."""
    return purge(
        Attempt.objects.all(),
        column="at",
        older_than=settings.ATTEMPT_RETENTION,
        task="webhooks.tasks.purge_old_attempts",
    )


@shared_task
def purge_old_endpoint_hours() -> int:
    """Purge hourly counts together with the attempts of that hour."""
    return purge(
        EndpointHour.objects.all(),
        column="hour",
        older_than=settings.ATTEMPT_RETENTION,
        task="webhooks.tasks.purge_old_endpoint_hours",
    )


@shared_task
def purge_old_recoveries() -> int:
    """Purge finished recoveries past ATTEMPT_RETENTION."""
    # People start recoveries: there are so few that `created_at` needs no index.
    return purge(
        Recovery.objects.filter(next_attempt_at=None),
        column="created_at",
        older_than=settings.ATTEMPT_RETENTION,
        task="webhooks.tasks.purge_old_recoveries",
    )
