from datetime import timedelta

from celery import shared_task

from contacts import queues
from contacts.models import SesRemoval
from core.queue.retention import purge
from core.queue.worker_loop import drain


@shared_task
def remove_from_ses_list() -> int:
    """Delete addresses from SES's own suppression lists after their suppressions were removed."""
    return drain(queues.REMOVE_FROM_SES)


@shared_task
def purge_ses_removals() -> int:
    """Delete removals a day after SES took the address off its list."""
    return purge(
        SesRemoval.objects.all(),
        column="removed_at",
        older_than=timedelta(days=1),
        task=queues.PURGE.task,
    )
