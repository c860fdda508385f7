"""Reschedules and cancels email that has not been sent yet.

Each change is one conditional UPDATE, and so is the worker's claim: whichever comes second
matches no row.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from core.db.ids import uuid7
from core.errors import Conflict
from emails.facts.constructors import cancelled, scheduled
from emails.facts.record import record_facts
from emails.models import Email

_CANCELLABLE = Q(
    status__in=[Email.Status.SCHEDULED, Email.Status.QUEUED, Email.Status.HELD],
    unknown_since=None,  # otherwise an earlier attempt may have sent it
)


class NotScheduled(Conflict):
    name = "email_not_scheduled"


class NotCancellable(Conflict):
    name = "email_not_cancellable"


def reschedule(email: Email, at: datetime) -> None:
    """Change the time of a scheduled email; NotScheduled if it is no longer scheduled."""
    with transaction.atomic():
        row = Email.objects.filter(pk=email.pk, status=Email.Status.SCHEDULED)
        if not row.update(scheduled_at=at, next_attempt_at=at):
            status = _status(email)
            raise NotScheduled(
                f"This email is {status} and can no longer be rescheduled.",
                details={"status": status},
            )
        record_facts([scheduled(email, at, key=str(uuid7()))])


def cancel(email: Email) -> None:
    """Never send it; NotCancellable if it may have been sent already."""
    with transaction.atomic():
        row = Email.objects.filter(_CANCELLABLE, pk=email.pk)
        if not row.update(status=Email.Status.CANCELLED, next_attempt_at=None):
            status = _status(email)
            raise NotCancellable(
                f"This email is {status} and can no longer be cancelled.",
                details={"status": status},
            )
        record_facts([cancelled(email)])


def _status(email: Email) -> str:
    return Email.objects.values_list("status", flat=True).get(pk=email.pk)
