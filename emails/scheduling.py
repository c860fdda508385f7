"""Mail for later: putting it off, bringing it forward, and calling it back.

Each change is one conditional UPDATE, and so is the worker's claim: whichever comes second
finds that the row is no longer what it asks for.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from core.db.ids import uuid7
from core.errors import Conflict
from core.times import iso
from emails.facts.record import EmailFact, record_facts
from emails.models import Email

_RECALLABLE = Q(
    status__in=[Email.Status.SCHEDULED, Email.Status.QUEUED],
    unknown_since=None,  # else it may have left, and is only tried again
)


class NotScheduled(Conflict):
    name = "email_not_scheduled"


class NotCancellable(Conflict):
    name = "email_not_cancellable"


def reschedule(email: Email, at: datetime) -> None:
    """Send it at another time; NotScheduled when it is not waiting for its time any more."""
    with transaction.atomic():
        waiting = Email.objects.filter(pk=email.pk, status=Email.Status.SCHEDULED)
        if not waiting.update(scheduled_at=at, next_attempt_at=at):
            status = _status(email)
            raise NotScheduled(
                f"This email is {status} and can no longer be rescheduled.",
                details={"status": status},
            )
        record_facts([scheduled(email, at, key=str(uuid7()))])


def cancel(email: Email) -> None:
    """Never send it; NotCancellable when it may be on its way already, or has arrived somewhere."""
    with transaction.atomic():
        recalled = Email.objects.filter(_RECALLABLE, pk=email.pk)
        if not recalled.update(status=Email.Status.CANCELLED, next_attempt_at=None):
            status = _status(email)
            raise NotCancellable(
                f"This email is {status} and can no longer be cancelled.",
                details={"status": status},
            )
        record_facts([_cancelled(email)])


def scheduled(email: Email, at: datetime, *, key: str = "") -> EmailFact:
    """The report that it is to be sent then; `key` tells the later ones from the first."""
    told = {"scheduled_at": iso(at)}
    return EmailFact(
        email_id=email.pk,
        type="scheduled",
        occurred_at=timezone.now(),
        key=key,
        payload=told,
        webhook=told,
    )


def _cancelled(email: Email) -> EmailFact:
    return EmailFact(
        email_id=email.pk,
        type="cancelled",
        status=Email.Status.CANCELLED.value,
        occurred_at=timezone.now(),
        is_published=False,
    )


def _status(email: Email) -> str:
    return Email.objects.values_list("status", flat=True).get(pk=email.pk)
