from celery import shared_task
from django.conf import settings

from core import wake
from core.draining import drain
from core.retention import SLICE_SECONDS, forget
from webhooks.closing import close_some
from webhooks.delivering import deliver_due
from webhooks.models import Attempt, EndpointHour, Recovery
from webhooks.replaying import RECOVER, recover_due
from webhooks.services import CLOSE


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
def close_what_is_owed() -> int:
    """Nothing is owed to endpoints that are disabled, and nothing is left of deleted ones."""
    return drain(CLOSE, close_some, slice_seconds=SLICE_SECONDS)


@shared_task
def forget_old_attempts() -> int:
    """Attempts past their retention are gone."""
    return forget(
        Attempt.objects.all(),
        column="at",
        older_than=settings.ATTEMPT_RETENTION,
        task="webhooks.tasks.forget_old_attempts",
    )


@shared_task
def forget_old_endpoint_hours() -> int:
    """The counts of hours whose attempts are gone are gone too."""
    return forget(
        EndpointHour.objects.all(),
        column="hour",
        older_than=settings.ATTEMPT_RETENTION,
        task="webhooks.tasks.forget_old_endpoint_hours",
    )


@shared_task
def forget_old_recoveries() -> int:
    """Recoveries that are done are kept as long as attempts."""
    # People start these: they are so few that their age needs no index.
    return forget(
        Recovery.objects.filter(next_attempt_at=None),
        column="created_at",
        older_than=settings.ATTEMPT_RETENTION,
        task="webhooks.tasks.forget_old_recoveries",
    )
