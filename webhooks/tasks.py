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
    """Every delivery that is due has been tried."""
    wake.heard("webhooks.tasks.deliver_due_webhooks")
    return deliver_due()


@shared_task
def recover_due_webhooks() -> int:
    """Every recovery that was asked for has come to its end."""
    return drain(RECOVER, recover_due)


@shared_task
def clean_up_endpoints() -> int:
    """Nothing is owed to endpoints that are disabled, and nothing is left of deleted ones."""
    return drain(CLEAN_UP, clean_up_some, slice_seconds=SLICE_SECONDS)


@shared_task
def purge_old_attempts() -> int:
    """Attempts past their retention are gone."""
    return purge(
        Attempt.objects.all(),
        column="at",
        older_than=settings.ATTEMPT_RETENTION,
        task="webhooks.tasks.purge_old_attempts",
    )


@shared_task
def purge_old_endpoint_hours() -> int:
    """The counts of hours whose attempts are gone are gone too."""
    return purge(
        EndpointHour.objects.all(),
        column="hour",
        older_than=settings.ATTEMPT_RETENTION,
        task="webhooks.tasks.purge_old_endpoint_hours",
    )


@shared_task
def purge_old_recoveries() -> int:
    """Recoveries that are done are kept as long as attempts."""
    # People start these: they are so few that their age needs no index.
    return purge(
        Recovery.objects.filter(next_attempt_at=None),
        column="created_at",
        older_than=settings.ATTEMPT_RETENTION,
        task="webhooks.tasks.purge_old_recoveries",
    )
