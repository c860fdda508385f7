"""The work behind `ingest.tasks`: stored callbacks become facts about emails, in batches.

What a batch brings and that it is done commit together, so a worker that dies has done nothing.
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

UNMATCHED_RETRY = timedelta(seconds=5)
UNMATCHED_SLOWEST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Reading:
    """One claimed callback and what it says, or why it can't be read."""

    row: ProviderEvent
    event: SesEvent | None
    problem: str = ""


def process_due() -> int:
    """Claim a batch and take it in; how many callbacks were claimed."""
    rows = ProviderEvent.objects.claim(limit=settings.INGEST_BATCH)
    readings = [_read(row) for row in rows]
    try:
        _take_in(readings)
    except Exception:  # one of them is bad: the others must not wait for it
        logger.exception("A batch of callbacks could not be taken in; trying each alone")
        for reading in readings:
            _take_in_alone(reading)
    return len(rows)


def _read(row: ProviderEvent) -> Reading:
    if row.is_poisoned:
        return Reading(row, None, "the worker died over this callback each time it was claimed")
    try:
        return Reading(row, parse_event(_message(row)))
    except UnknownEvent as error:
        return Reading(row, None, str(error))


def _message(row: ProviderEvent) -> str:
    """What SNS carried; the last of repeated keys, as it was when the signature was checked."""
    try:
        return str(orjson.loads(row.body)["Message"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise UnknownEvent(f"the body is no SNS message: {error!r}"[:300]) from None


def _take_in_alone(reading: Reading) -> None:
    try:
        _take_in([reading])
    except OperationalError:  # the database's trouble: the callback is due again after its lease
        raise
    except Exception as error:
        logger.exception(
            "Callback %s could not be taken in",
            reading.row.pk,
            extra={"request_id": reading.row.request_id},
        )
        _take_in([Reading(reading.row, None, f"taking it in broke: {error!r}"[:500])])


def _take_in(readings: Sequence[Reading]) -> None:
    with transaction.atomic():
        owners = _owners(readings)
        outcomes = [_outcome(reading, owners.get(reading.row.pk)) for reading in readings]
        ours = ProviderEvent.objects.settle(outcomes)
        held = [reading for reading in readings if reading.row.pk in ours]
        record_facts([report for reading in held for report in _reports(reading, owners)])
        _record_unsubscribes(held, owners)
    for outcome in outcomes:
        if outcome.row.pk in ours:
            metrics.CALLBACKS_PROCESSED.labels("ses", outcome.changes["state"]).inc()


def _owners(readings: Sequence[Reading]) -> dict[UUID, UUID]:
    """The email that each callback is about: by our id, else by the provider's."""
    events = {reading.row.pk: reading.event for reading in readings if reading.event}
    ours = {event.email_id for event in events.values() if event.email_id}
    existing = set(Email.objects.filter(pk__in=ours).values_list("pk", flat=True))
    theirs = {event.message_id for event in events.values() if event.email_id not in existing} - {
        ""
    }
    by_message = dict(
        Email.objects.filter(provider_message_id__in=theirs).values_list(
            "provider_message_id", "pk"
        )
        if theirs
        else ()
    )
    owners = {}
    for key, event in events.items():
        if event.email_id in existing:
            owners[key] = event.email_id
        elif event.message_id in by_message:
            owners[key] = by_message[event.message_id]
    return owners


def _outcome(reading: Reading, owner: UUID | None) -> Settlement:
    retry_in = None
    if reading.event is None:
        state, reason = State.QUARANTINED, reading.problem
    elif owner is None:
        state, reason = State.UNMATCHED, "no email here has this id"
        retry_in = _unmatched_retry(reading.row)
    else:
        state, reason = State.PROCESSED, ""
    return Settlement(
        reading.row,
        retry_in=retry_in,
        changes={
            "state": state.value,
            "reason": reason[:500],
            "type": reading.event.type[:40] if reading.event else "",
            "email_id": owner,
            "processed_at": timezone.now(),
        },
    )


def _unmatched_retry(row: ProviderEvent) -> timedelta | None:
    """An event can beat the commit of its own send; after an hour it is left for people."""
    if timezone.now() - row.received_at > settings.INGEST_UNMATCHED_FOR:
        return None
    delay: timedelta = min(UNMATCHED_RETRY * 2 ** min(row.claims - 1, 10), UNMATCHED_SLOWEST)
    return delay


def _reports(reading: Reading, owners: dict[UUID, UUID]) -> list[EmailFact]:
    event, owner = reading.event, owners.get(reading.row.pk)
    if event is None or owner is None:
        return []
    region = reading.row.topic_arn.split(":")[3] if reading.row.topic_arn else "us-east-1"
    return [
        EmailFact(
            email_id=owner,
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
            taken_at=event.taken_at,
        )
        for effect in event.effects
    ]


def _record_unsubscribes(readings: Sequence[Reading], owners: dict[UUID, UUID]) -> None:
    wanted = [
        (owners[reading.row.pk], address)
        for reading in readings
        if reading.event and reading.row.pk in owners
        for address in reading.event.unsubscribed
    ]
    if not wanted:
        return
    emails = Email.objects.filter(pk__in={owner for owner, _ in wanted})
    workspaces = dict(emails.values_list("pk", "workspace_id"))
    record_unsubscribe((workspaces[owner], address) for owner, address in wanted)
