"""Processes stored callbacks, in batches of one source each.

A slow source must not delay others, so they share neither claims nor transactions. A batch's facts
and its "processed" marks commit together, so a worker that crashes leaves nothing half done.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction
from django.utils import timezone
from psycopg import sql

from core import metrics
from core.queue.batches import run_batch
from core.queue.queues import Batch
from core.queue.wake import pass_on
from core.queue.work import Settlement
from ingest import queues
from ingest.callbacks import Parsed, Processor, Result, Unparsable
from ingest.models import ProviderEvent
from ingest.processors import ses

logger = logging.getLogger(__name__)

State = ProviderEvent.State

PROCESSORS: Mapping[str, Processor[Any]] = {queues.SES: ses.PROCESSOR}


@dataclass(frozen=True, slots=True)
class _Claimed:
    """One claimed callback: parsed, or why it is quarantined."""

    row: ProviderEvent
    parsed: Parsed[Any] | None
    problem: str = ""


def process_ses() -> Batch:
    return process(queues.SES)


def process(source: str) -> Batch:
    """Claim and process one batch of a source's due callbacks.

    `processed` callbacks were recorded or need no processing. `failed` ones were quarantined, or
    match no email, even if they are retried. A callback whose lease was lost is neither.
    """
    processor = PROCESSORS[source]
    limit = processor.batch or settings.INGEST_BATCH
    rows = ProviderEvent.objects.claim(
        limit=limit, where=sql.SQL("source = {}").format(sql.Literal(source))
    )
    pass_on(queues.BY_SOURCE[source].task, claimed=len(rows), limit=limit)
    states: list[State] = []

    def record(callbacks: Sequence[_Claimed]) -> None:
        for state in _record(processor, callbacks):
            states.append(state)
            metrics.CALLBACKS_PROCESSED.labels(source, state.value).inc()

    def quarantine(callback: _Claimed, error: Exception) -> None:
        if isinstance(error, OperationalError):  # of the database: due again after the lease
            raise error
        logger.error(
            "Could not record callback %s",
            callback.row.pk,
            exc_info=error,
            extra={"request_id": callback.row.request_id},
        )
        record([_Claimed(callback.row, None, f"could not be recorded: {error!r}")])

    run_batch(
        [_parse(processor, row) for row in rows], record, quarantine, on_batch_error=_log_batch
    )
    processed = sum(state in (State.PROCESSED, State.NOTED) for state in states)
    return Batch(len(rows), processed=processed, failed=len(states) - processed)


def _parse(processor: Processor[Any], row: ProviderEvent) -> _Claimed:
    if row.is_poisoned:
        reason = "poisoned: the worker died every time it claimed this callback"
        return _Claimed(row, None, reason)
    try:
        return _Claimed(row, Parsed(row, processor.parse(row)))
    except Unparsable as error:
        return _Claimed(row, None, str(error))


def _record(processor: Processor[Any], callbacks: Sequence[_Claimed]) -> list[State]:
    """Settle the callbacks and record their events; the states of those whose lease held."""
    parsed = [callback.parsed for callback in callbacks if callback.parsed]
    results = {
        callback.row.pk: Result(State.QUARANTINED, reason=callback.problem)
        for callback in callbacks
        if not callback.parsed
    }
    with transaction.atomic():
        results |= processor.match(parsed)
        settled = ProviderEvent.objects.settle(
            [_settlement(callback.row, results[callback.row.pk]) for callback in callbacks]
        )
        processor.record(
            [(each, results[each.row.pk]) for each in parsed if each.row.pk in settled]
        )
    return [results[key].state for key in settled]


def _settlement(row: ProviderEvent, result: Result) -> Settlement:
    return Settlement(
        row,
        retry_in=result.retry_in,
        changes={
            "state": result.state.value,
            "reason": result.reason[:500],
            "type": result.type[:40],
            "email_id": result.email_id,
            "processed_at": timezone.now(),
        },
    )


def _log_batch(error: Exception) -> None:
    message = "Could not record a batch of callbacks; retrying them one by one"
    logger.error(message, exc_info=error)
