"""Writing what endpoints answered: a handful of statements a batch."""

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
from core.queue.work import Settlement
from webhooks import health
from webhooks.dispatch.claim import Job, lease_time
from webhooks.dispatch.retry_policy import next_delay
from webhooks.dispatch.signed_request import printable, reason, shown
from webhooks.models import Attempt, Delivery

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    job: Job
    outcome: Outcome
    at: datetime
    # Of the attempt's row: a result that is written twice, because the connection broke at
    # the commit, is one row all the same.
    id: UUID = field(default_factory=uuid7)

    @property
    def succeeded(self) -> bool:
        return self.outcome.succeeded

    @property
    def reason(self) -> str:
        return reason(self.outcome)[:50]

    @property
    def answer(self) -> health.Answer:
        return health.Answer(
            endpoint=self.job.endpoint,
            at=self.at,
            status=self.outcome.status,
            reason=self.reason,
            duration_ms=self.outcome.duration_ms,
        )


def record(results: Sequence[Result]) -> None:
    """Settle the deliveries, keep the attempts, and note how the endpoints are doing.

    OperationalError or InterfaceError when the database is away: then nothing is lost by doing
    it again. A result that can't be written for another reason is logged, and its delivery
    tried again after the lease.
    """
    try:
        _record_together(results)
    except (InterfaceError, OperationalError):
        raise
    except Exception:  # one of them is bad: the others must not be lost with it
        logger.exception("A batch of webhook results could not be written; trying each alone")
        for result in results:
            _record_alone(result)


def still_leased(results: Sequence[Result]) -> list[Result]:
    """Those whose deliveries nobody else can have claimed since."""
    since = timezone.now() - lease_time()
    return [result for result in results if result.at > since]


def _record_together(results: Sequence[Result]) -> None:
    if not results:
        return
    with transaction.atomic():
        # Endpoints before deliveries, as where an endpoint is disabled or deleted: the other
        # way round the two would wait for each other.
        health.note([result.answer for result in results])
        ours = Delivery.objects.settle([_settlement(result) for result in results])
        held = [result for result in results if result.job.delivery.pk in ours]
        bulk.insert_ignoring_conflicts(Attempt, [_attempt(result) for result in held])
        answers = [result.answer for result in held]
        health.count_hours(answers)
        health.judge(answers)
    for result in results:
        _report(result)


def _record_alone(result: Result) -> None:
    try:
        _record_together([result])
    except (InterfaceError, OperationalError):
        raise
    except Exception:
        logger.exception(
            "The result of delivery %s could not be written",
            result.job.delivery.pk,
            extra={"request_id": result.job.request_id},
        )


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
    made = result.job.number - result.job.delivery.attempts_before_replay
    retry_after = result.outcome.headers.get("Retry-After", "")
    return next_delay(made, result.outcome.status, retry_after)


def _attempt(result: Result) -> dict[str, object]:
    outcome = result.outcome
    return {
        "id": result.id,
        "delivery_id": result.job.delivery.pk,
        "number": result.job.number,
        "status_code": outcome.status,
        "error": result.reason,
        "message": printable(outcome.message)[:500],
        "response": shown(outcome),
        "address": outcome.address[:45],
        "duration_ms": outcome.duration_ms,
        "at": result.at,
    }


def _report(result: Result) -> None:
    metrics.WEBHOOK_ATTEMPTS.labels(result.reason or "success").inc()
    # Successes come by the thousand a second, failures of an endpoint ever more slowly.
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
