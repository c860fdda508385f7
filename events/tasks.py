from celery import shared_task
from django.conf import settings

from core.queue.retention import purge
from core.queue.worker_loop import drain
from events.dispatch import dispatch_due
from events.models import Event
from events.subscriptions import retention_conditions


@shared_task
def dispatch_due_events() -> int:
    """Dispatch all due events to their subscribers."""
    return drain("events.tasks.dispatch_due_events", dispatch_due)


@shared_task
def purge_old_events() -> int:
    """Delete dispatched events past their retention. ON DELETE CASCADE removes their rows."""
    dispatched = Event.objects.filter(next_attempt_at=None)
    for needed in retention_conditions:
        dispatched = dispatched.filter(~needed)
    return purge(
        dispatched,
        column="created_at",
        older_than=settings.EVENT_RETENTION,
        task="events.tasks.purge_old_events",
    )
