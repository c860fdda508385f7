from celery import shared_task
from django.conf import settings

from core.draining import drain
from core.retention import forget
from events.dispatch import dispatch_due
from events.models import Event


@shared_task
def dispatch_due_events() -> int:
    """Every event that is due has been heard by its subscribers."""
    return drain("events.tasks.dispatch_due_events", dispatch_due)


@shared_task
def forget_old_events() -> int:
    """Heard events past their retention are gone, and their deliveries with them."""
    heard = Event.objects.filter(next_attempt_at=None)
    return forget(heard, column="created_at", older_than=settings.EVENT_RETENTION)
