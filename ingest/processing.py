"""Turns stored callbacks into facts about emails, in batches.

A batch's facts and its "processed" marks commit together, so a worker that crashes leaves
nothing half done.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import orjson
from django.conf import settings
from django.db import OperationalError, transaction
from django.utils import timezone

from contacts.suppressions import record_unsubscribe
from core import metrics
from core.queue.work import Settlement
from emails.facts.record import EmailFact, record_facts
from emails.models import Email
from emails.providers.ses import wire_message_id
from ingest.models import ProviderEvent
from ingest.ses_events import SesEvent, UnknownEvent, parse_event

logger = logging.getLogger(__name__)

State = ProviderEvent.State

UNMATCHED_FIRST_RETRY = timedelta(seconds=5)
UNMATCHED_MAX_RETRY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ParsedCallback:
    """One claimed callback with its parsed event, or the reason why it has none."""

    row: ProviderEvent
    event: SesEvent | None
    problem: str = ""


def process_due() -> int:
    """Claim and process a batch of due callbacks; returns how many were claimed."""
    rows = ProviderEvent.objects.claim(limit=settings.INGEST_BATCH)
    callbacks = [_parse(row) for row in rows]
    try:
        _record(callbacks)
    except Exception:  # one bad callback must not block the others
        logger.exception("Could not record a batch of callbacks; retrying them one by one")
        for callback in callbacks:
            _record_one(callback)
    return len(rows)


def _parse(row: ProviderEvent) -> ParsedCallback:
    if row.is_poisoned:
        reason = "poisoned: the worker died every time it claimed this callback"
        return ParsedCallback(row, None, reason)
    try:
        return ParsedCallback(row, parse_event(_message(row)))
    except UnknownEvent as error:
        return ParsedCallback(row, None, str(error))


def _message(row: ProviderEvent) -> str:
    """The SNS payload. A repeated key resolves to its last value, as in signature verification."""
    try:
        return str(orjson.loads(row.body)["Message"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise UnknownEvent(f"the body is not an SNS message: {error!r}"[:300]) from None


def _record_one(callback: ParsedCallback) -> None:
    try:
        _record([callback])
    except OperationalError:  # a database failure: the callback is due again after its lease
        raise
    except Exception as error:
        logger.exception(
            "Could not record callback %s",
            callback.row.pk,
            extra={"request_id": callback.row.request_id},
        )
        _record([ParsedCallback(callback.row, None, f"could not be recorded: {error!r}"[:500])])


def _record(callbacks: Sequence[ParsedCallback]) -> None:
    with transaction.atomic():
        emails = _match_emails(callbacks)
        settlements = [_settlement(each, emails.get(each.row.pk)) for each in callbacks]
        settled = ProviderEvent.objects.settle(settlements)
        leased = [callback for callback in callbacks if callback.row.pk in settled]
        record_facts([fact for callback in leased for fact in _email_facts(callback, emails)])
        _record_unsubscribes(leased, emails)
    for settlement in settlements:
        if settlement.row.pk in settled:
            metrics.CALLBACKS_PROCESSED.labels("ses", settlement.changes["state"]).inc()


def _match_emails(callbacks: Sequence[ParsedCallback]) -> dict[UUID, UUID]:
    """Email ids by callback id: matched by our email id, else by the provider's message id."""
    events = {callback.row.pk: callback.event for callback in callbacks if callback.event}
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


def _settlement(callback: ParsedCallback, email_id: UUID | None) -> Settlement:
    retry_in = None
    if callback.event is None:
        state, reason = State.QUARANTINED, callback.problem
    elif email_id is None:
        state, reason = State.UNMATCHED, "no email has this id"
        retry_in = _unmatched_retry(callback.row)
    else:
        state, reason = State.PROCESSED, ""
    return Settlement(
        callback.row,
        retry_in=retry_in,
        changes={
            "state": state.value,
            "reason": reason[:500],
            "type": callback.event.type[:40] if callback.event else "",
            "email_id": email_id,
            "processed_at": timezone.now(),
        },
    )


def _unmatched_retry(row: ProviderEvent) -> timedelta | None:
    """Backoff while the send may not have committed yet; None after INGEST_UNMATCHED_FOR."""
    if timezone.now() - row.received_at > settings.INGEST_UNMATCHED_FOR:
        return None
    delay: timedelta = min(
        UNMATCHED_FIRST_RETRY * 2 ** min(row.claims - 1, 10), UNMATCHED_MAX_RETRY
    )
    return delay


def _email_facts(callback: ParsedCallback, emails: dict[UUID, UUID]) -> list[EmailFact]:
    event, email_id = callback.event, emails.get(callback.row.pk)
    if event is None or email_id is None:
        return []
    region = callback.row.topic_arn.split(":")[3] if callback.row.topic_arn else "us-east-1"
    return [
        EmailFact(
            email_id=email_id,
            type=effect.type,
            occurred_at=effect.occurred_at,
            recipient=effect.recipient,
            status=effect.status,
            detail=effect.detail,
            key=effect.key,
            payload=effect.payload,
            webhook=effect.webhook,
            suppress_as=effect.suppress_as,
            is_published=effect.is_published,
            provider_message_id=event.message_id,
            message_id=wire_message_id(event.message_id, region),
            taken_at=event.accepted_at,
        )
        for effect in event.effects
    ]


def _record_unsubscribes(callbacks: Sequence[ParsedCallback], emails: dict[UUID, UUID]) -> None:
    unsubscribes = [
        (emails[callback.row.pk], address)
        for callback in callbacks
        if callback.event and callback.row.pk in emails
        for address in callback.event.unsubscribed
    ]
    if not unsubscribes:
        return
    rows = Email.objects.filter(pk__in={email_id for email_id, _ in unsubscribes})
    workspaces = dict(rows.values_list("pk", "workspace_id"))
    record_unsubscribe((workspaces[email_id], address) for email_id, address in unsubscribes)
