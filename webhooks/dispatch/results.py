"""Recording delivery results: a few statements per batch."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from core import metrics
from core.db import bulk
from core.db.ids import uuid7
from core.outbound import Outcome
from core.queue.batches import run_batch
from core.queue.work import Settlement
from webhooks import health
from webhooks.dispatch.claim import Job, lease_time
from webhooks.dispatch.retry_policy import next_delay
from webhooks.dispatch.signed_request import error_code, response_excerpt, storable
from webhooks.models import Attempt, Delivery

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    job: Job
    outcome: Outcome
    at: datetime
    # The attempt's primary key: a result that is written again because the connection broke at
    # the commit adds no second row.
    id: UUID = field(default_factory=uuid7)

    @property
    def succeeded(self) -> bool:
        return self.outcome.succeeded

    @property
    def reason(self) -> str:
        return error_code(self.outcome)[:50]

    @property
    def for_health(self) -> health.RequestResult:
        return health.RequestResult(
            endpoint=self.job.endpoint,
            at=self.at,
            status=self.outcome.status,
            reason=self.reason,
            duration_ms=self.outcome.duration_ms,
        )


def record(results: Sequence[Result]) -> None:
    """Settle the deliveries, store the attempts and update the endpoints' health.

    Raises OperationalError or InterfaceError when the database is unavailable; calling it again
    is safe. A result that can't be written for another reason is logged, and its delivery is
    retried after the lease.
    """
    run_batch(results, _record_batch, _on_error, on_batch_error=_on_batch_error)


def still_leased(results: Sequence[Result]) -> list[Result]:
    """The results whose deliveries no other worker can have claimed yet."""
    since = timezone.now() - lease_time()
    return [result for result in results if result.at > since]


def _record_batch(results: Sequence[Result]) -> None:
    with transaction.atomic():
        # Lock endpoints before deliveries, in the same order as disabling and deleting an
        # endpoint, to avoid deadlocks.
        health.update_health([result.for_health for result in results])
        settled_ids = Delivery.objects.settle([_settlement(result) for result in results])
        settled = [result for result in results if result.job.delivery.pk in settled_ids]
        bulk.insert_ignoring_conflicts(Attempt, [_attempt(result) for result in settled])
        observed = [result.for_health for result in settled]
        health.count_hours(observed)
        health.notify_or_disable(observed)
    for result in results:
        _log(result)


def _on_batch_error(error: Exception) -> None:
    _raise_if_unavailable(error)
    logger.error("Could not record a batch of webhook results; retrying one by one", exc_info=error)


def _on_error(result: Result, error: Exception) -> None:
    _raise_if_unavailable(error)
    logger.error(
        "Could not record the result of delivery %s",
        result.job.delivery.pk,
        exc_info=error,
        extra={"request_id": result.job.request_id},
    )


def _raise_if_unavailable(error: Exception) -> None:
    """Every other result would fail too while the database is unavailable."""
    if isinstance(error, InterfaceError | OperationalError):
        raise error


def _settlement(result: Result) -> Settlement:
    delay = None if result.succeeded else _delay(result)
    if result.succeeded:
        status = Delivery.Status.SUCCESS
    else:
        status = Delivery.Status.FAILED if delay is None else Delivery.Status.PENDING
    return Settlement(
        result.job.delivery,
        retry_in=delay,
        changes={
            "status": status.value,
            "attempts": result.job.number,
            "last_status_code": result.outcome.status,
            "last_error": result.reason,
        },
    )


def _delay(result: Result) -> timedelta | None:
    attempts = result.job.number - result.job.delivery.attempts_before_replay
    retry_after = result.outcome.headers.get("Retry-After", "")
    return next_delay(attempts, result.outcome.status, retry_after)


def _attempt(result: Result) -> dict[str, object]:
    outcome = result.outcome
    return {
        "id": result.id,
        "delivery_id": result.job.delivery.pk,
        "number": result.job.number,
        "status_code": outcome.status,
        "error": result.reason,
        "message": storable(outcome.message)[:500],
        "response": response_excerpt(outcome),
        "address": outcome.address[:45],
        "duration_ms": outcome.duration_ms,
        "at": result.at,
    }


def _log(result: Result) -> None:
    metrics.WEBHOOK_ATTEMPTS.labels(result.reason or "success").inc()
    # There may be a thousand successes per second; failures are slowed down by the backoff.
    level = logging.DEBUG if result.succeeded else logging.INFO
    if logger.isEnabledFor(level):
        logger.log(
            level,
            "Webhook attempt succeeded" if result.succeeded else "Webhook attempt failed",
            extra={
                "request_id": result.job.request_id,
                "endpoint": str(result.job.endpoint.pk),
                "event": result.job.event_id,
                "attempt": result.job.number,
                "status": result.outcome.status,
                "reason": result.reason,
            },
        )
