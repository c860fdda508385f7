"""SES events become facts about the emails that they match."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from contacts.suppressions import record_unsubscribe
from core.db.json_values import loads
from core.queue.backoff import Backoff
from emails.facts.record import record_facts
from emails.models import Email, EmailRecipient
from ingest.callbacks import Parsed, Processor, Result, Unparsable
from ingest.models import ProviderEvent
from ingest.ses_events import SesEvent, parse_event
from ingest.ses_events.fields import parse_time

State = ProviderEvent.State

_UNMATCHED_BACKOFF = Backoff(first=timedelta(seconds=5), longest=timedelta(minutes=5))


@dataclass(frozen=True, slots=True)
class Published:
    """An event, and when SES published it: the `Timestamp` of the SNS message."""

    event: SesEvent
    at: datetime


Matched = tuple[Parsed[Published], Result]


def parse(row: ProviderEvent) -> Published:
    message, timestamp = _envelope(row)
    return Published(parse_event(message), parse_time(timestamp) or row.received_at)


def _envelope(row: ProviderEvent) -> tuple[str, Any]:
    """The SNS payload and the time of publishing.

    A repeated key resolves to its last value, as in signature verification.
    """
    try:
        fields = loads(row.body)
        return str(fields["Message"]), fields.get("Timestamp")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unparsable(f"the body is not an SNS message: {error!r}"[:300]) from None


def match(callbacks: Sequence[Parsed[Published]]) -> dict[UUID, Result]:
    emails = _match_emails(callbacks)
    recipients = _recipients(
        {
            emails[each.row.pk]
            for each in callbacks
            if each.row.pk in emails and each.event.event.names_recipients
        }
    )
    return {
        each.row.pk: _reported(each, email_id, recipients.get(email_id, []))
        if (email_id := emails.get(each.row.pk))
        else _unmatched(each)
        for each in callbacks
    }


def _match_emails(callbacks: Sequence[Parsed[Published]]) -> dict[UUID, UUID]:
    """Email ids by callback id: matched by our email id, else by the provider's message id."""
    events = {callback.row.pk: callback.event.event for callback in callbacks}
    email_ids = {event.email_id for event in events.values() if event.email_id}
    existing = set(Email.objects.filter(pk__in=email_ids).values_list("pk", flat=True))
    message_ids = {
        event.message_id for event in events.values() if event.email_id not in existing
    } - {""}
    by_message_id = dict(
        Email.objects.filter(provider_message_id__in=message_ids).values_list(
            "provider_message_id", "pk"
        )
        if message_ids
        else ()
    )
    matches = {}
    for key, event in events.items():
        if event.email_id in existing:
            matches[key] = event.email_id
        elif event.message_id in by_message_id:
            matches[key] = by_message_id[event.message_id]
    return matches


def _recipients(emails: set[UUID]) -> dict[UUID, list[str]]:
    """The addresses that each email was sent to: not those dropped as suppressed."""
    if not emails:
        return {}
    sent_to: defaultdict[UUID, list[str]] = defaultdict(list)
    rows = EmailRecipient.objects.filter(email__in=emails).order_by("pk")
    for email_id, address in rows.exclude(status=Email.Status.SUPPRESSED).values_list(
        "email_id", "address"
    ):
        sent_to[email_id].append(address)
    return sent_to


def _reported(callback: Parsed[Published], email_id: UUID, recipients: list[str]) -> Result:
    event = callback.event.event
    report = event.report(
        email_id,
        region=_region(callback.row),
        recipients=recipients,
        published_at=callback.event.at,
    )
    return Result(
        State.QUARANTINED if report.needs_review else State.PROCESSED,
        reason="; ".join(dict.fromkeys(report.notes)),
        type=event.kind.name,
        email_id=email_id,
        facts=report.facts,
        unsubscribed=report.unsubscribed,
    )


def _unmatched(callback: Parsed[Published]) -> Result:
    return Result(
        State.UNMATCHED,
        reason="no email has this id",
        type=callback.event.event.kind.name,
        retry_in=_unmatched_retry(callback.row),
    )


def _unmatched_retry(row: ProviderEvent) -> timedelta | None:
    """Backoff while the send may not have committed yet; None after INGEST_UNMATCHED_FOR."""
    if timezone.now() - row.received_at > settings.INGEST_UNMATCHED_FOR:
        return None
    return _UNMATCHED_BACKOFF.after(row.claims)


def record(callbacks: Sequence[Matched]) -> None:
    record_facts([fact for _, result in callbacks for fact in result.facts])
    _record_unsubscribes(
        [
            (result.email_id, address)
            for _, result in callbacks
            for address in result.unsubscribed
            if result.email_id
        ]
    )


def _region(row: ProviderEvent) -> str:
    """SES publishes to a topic in its own region."""
    return row.topic_arn.split(":")[3] if row.topic_arn else "us-east-1"


def _record_unsubscribes(unsubscribes: Sequence[tuple[UUID, str]]) -> None:
    if not unsubscribes:
        return
    rows = Email.objects.filter(pk__in={email_id for email_id, _ in unsubscribes})
    workspaces = dict(rows.values_list("pk", "workspace_id"))
    record_unsubscribe((workspaces[email_id], address) for email_id, address in unsubscribes)


PROCESSOR = Processor(parse=parse, match=match, record=record)
