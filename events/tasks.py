from celery import shared_task
from django.conf import settings

from core import hooks
from core.queue.retention import purge
from core.queue.worker_loop import drain
from events import queues
from events.models import Event


@shared_task
def dispatch_due_events() -> int:
    """Dispatch all due events to their subscribers."""
    return drain(queues.DISPATCH)


@shared_task
def purge_old_events() -> int:
    """Delete finished events past their retention, dead-lettered ones as well.

    ON DELETE CASCADE removes their rows.
    """
    finished = Event.objects.filter(next_attempt_at=None)
    for needed in hooks.collect("KEEP_EVENTS_WHILE"):
        finished = finished.filter(~needed)
    return purge(
        finished,
        column="created_at",
        older_than=settings.EVENT_RETENTION,
        task=queues.PURGE.task,
    )
