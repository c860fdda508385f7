"""SES events become facts about the emails that they match."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import orjson
from django.conf import settings
from django.utils import timezone

from contacts.suppressions import record_unsubscribe
from core.queue.backoff import Backoff
from emails.facts.record import record_facts
from emails.models import Email
from ingest.callbacks import Parsed, Processor, Result, Unparsable
from ingest.models import ProviderEvent
from ingest.ses_events import SesEvent, parse_event

State = ProviderEvent.State
Matched = tuple[Parsed[SesEvent], Result]

_UNMATCHED_BACKOFF = Backoff(first=timedelta(seconds=5), longest=timedelta(minutes=5))


def parse(row: ProviderEvent) -> SesEvent:
    return parse_event(_message(row))


def _message(row: ProviderEvent) -> str:
    """The SNS payload. A repeated key resolves to its last value, as in signature verification."""
    try:
        return str(orjson.loads(row.body)["Message"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Unparsable(f"the body is not an SNS message: {error!r}"[:300]) from None


def match(callbacks: Sequence[Parsed[SesEvent]]) -> dict[UUID, Result]:
    emails = _match_emails(callbacks)
    return {each.row.pk: _result(each, emails.get(each.row.pk)) for each in callbacks}


def _match_emails(callbacks: Sequence[Parsed[SesEvent]]) -> dict[UUID, UUID]:
    """Email ids by callback id: matched by our email id, else by the provider's message id."""
    events = {callback.row.pk: callback.event for callback in callbacks}
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


def _result(callback: Parsed[SesEvent], email_id: UUID | None) -> Result:
    if email_id is None:
        return Result(
            State.UNMATCHED,
            reason="no email has this id",
            type=callback.event.type,
            retry_in=_unmatched_retry(callback.row),
        )
    return Result(State.PROCESSED, type=callback.event.type, email_id=email_id)


def _unmatched_retry(row: ProviderEvent) -> timedelta | None:
    """Backoff while the send may not have committed yet; None after INGEST_UNMATCHED_FOR."""
    if timezone.now() - row.received_at > settings.INGEST_UNMATCHED_FOR:
        return None
    return _UNMATCHED_BACKOFF.after(row.claims)


def record(callbacks: Sequence[Matched]) -> None:
    matched = [(each, result.email_id) for each, result in callbacks if result.email_id]
    record_facts(
        [
            fact
            for callback, email_id in matched
            for fact in callback.event.facts(email_id, region=_region(callback.row))
        ]
    )
    _record_unsubscribes(
        [
            (email_id, address)
            for callback, email_id in matched
            for address in callback.event.unsubscribed
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
