"""Right before the provider call: recipients that were suppressed since accept are dropped."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from django.utils import timezone

from contacts.suppressions import find_suppressed
from emails.content.addresses import identity
from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailRecipient

Envelope = tuple[Email, list[EmailRecipient]]


def drop_suppressed(emails: Sequence[Email]) -> list[Envelope]:
    """Each email with the recipients left to send to; emails with none left are settled here."""
    if not emails:
        return []
    recipients = _open_recipients(emails)
    stopped = find_suppressed(
        (email.workspace_id, identity(recipient.address))
        for email in emails
        for recipient in recipients[email.pk]
    )
    if stopped:
        _tell(emails, recipients, stopped)
    envelopes = []
    for email in emails:
        left = [
            recipient
            for recipient in recipients[email.pk]
            if (email.workspace_id, identity(recipient.address)) not in stopped
        ]
        if left:
            envelopes.append((email, left))
    return envelopes


def suppressed(email: Email, *, address: str, origin: str) -> EmailFact:
    """The report that a recipient was dropped."""
    told = {"type": origin, "message": f"The address is on the suppression list ({origin})."}
    return EmailFact(
        email_id=email.pk,
        type="suppressed",
        recipient=address,
        status=Email.Status.SUPPRESSED.value,
        detail=origin,
        occurred_at=timezone.now(),
        payload=told,
        webhook={"suppressed": told},
    )


def _open_recipients(emails: Sequence[Email]) -> dict[UUID, list[EmailRecipient]]:
    found: defaultdict[UUID, list[EmailRecipient]] = defaultdict(list)
    rows = EmailRecipient.objects.filter(email__in=[email.pk for email in emails]).order_by("pk")
    for recipient in rows.exclude(status=Email.Status.SUPPRESSED):
        found[recipient.email_id].append(recipient)
    return found


def _tell(
    emails: Sequence[Email],
    recipients: dict[UUID, list[EmailRecipient]],
    stopped: dict[tuple[UUID, str], str],
) -> None:
    reports = []
    for email in emails:
        for recipient in recipients[email.pk]:
            origin = stopped.get((email.workspace_id, identity(recipient.address)))
            if origin:
                reports.append(suppressed(email, address=recipient.address, origin=origin))
    record_facts(reports)
