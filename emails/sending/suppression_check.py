"""Drops recipients that were suppressed since accept, right before the provider call."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from contacts.suppressions import find_suppressed_recipients
from emails.content.addresses import identity
from emails.facts.constructors import suppressed
from emails.facts.record import record_facts
from emails.models import Email, EmailRecipient

Envelope = tuple[Email, list[EmailRecipient]]


def drop_suppressed(emails: Sequence[Email]) -> list[Envelope]:
    """Each email with its deliverable recipients; an email without any is settled here."""
    if not emails:
        return []
    recipients = _open_recipients(emails)
    origins = find_suppressed_recipients(
        (email.workspace_id, identity(recipient.address))
        for email in emails
        for recipient in recipients[email.pk]
    )
    if origins:
        _record_suppressed(emails, recipients, origins)
    envelopes = []
    for email in emails:
        deliverable = [
            recipient
            for recipient in recipients[email.pk]
            if (email.workspace_id, identity(recipient.address)) not in origins
        ]
        if deliverable:
            envelopes.append((email, deliverable))
    return envelopes


def _open_recipients(emails: Sequence[Email]) -> dict[UUID, list[EmailRecipient]]:
    by_email: defaultdict[UUID, list[EmailRecipient]] = defaultdict(list)
    rows = EmailRecipient.objects.filter(email__in=[email.pk for email in emails]).order_by("pk")
    for recipient in rows.exclude(status=Email.Status.SUPPRESSED):
        by_email[recipient.email_id].append(recipient)
    return by_email


def _record_suppressed(
    emails: Sequence[Email],
    recipients: dict[UUID, list[EmailRecipient]],
    origins: dict[tuple[UUID, str], str],
) -> None:
    facts = []
    for email in emails:
        for recipient in recipients[email.pk]:
            origin = origins.get((email.workspace_id, identity(recipient.address)))
            if origin:
                facts.append(suppressed(email, address=recipient.address, origin=origin))
    record_facts(facts)
