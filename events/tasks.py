from celery import shared_task
from django.conf import settings

from core.queue.retention import purge
from core.queue.worker_loop import drain
from events.dispatch import dispatch_due
from events.models import Event
from events.subscriptions import reasons_to_keep


@shared_task
def dispatch_due_events() -> int:
    """Every event that is due has been heard by its subscribers."""
    return drain("events.tasks.dispatch_due_events", dispatch_due)


@shared_task
def purge_old_events() -> int:
    """Events past their retention that nobody has still to hear of are gone, and what hangs on
    them with them."""
    heard = Event.objects.filter(next_attempt_at=None)
    for needed in reasons_to_keep:
        heard = heard.filter(~needed)
    return purge(
        heard,
        column="created_at",
        older_than=settings.EVENT_RETENTION,
        task="events.tasks.purge_old_events",
    )
