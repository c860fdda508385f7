from celery import shared_task
from django.utils import timezone

from core.models import Heartbeat


@shared_task
def tick() -> None:
    """Beat is alive, and so is a worker: /readyz tells when this was last so."""
    Heartbeat.objects.update_or_create(name="beat", defaults={"at": timezone.now()})
