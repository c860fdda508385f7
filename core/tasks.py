from celery import shared_task
from django.utils import timezone

from core.models import Heartbeat


@shared_task
def record_heartbeat() -> None:
    """Heartbeat of beat and a worker; /readyz reports its age."""
    Heartbeat.objects.update_or_create(name="beat", defaults={"at": timezone.now()})
