"""Writing what endpoints answered: three statements a batch."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from psycopg import sql

from core import bulk, metrics
from core.ids import uuid7
from core.outbound import Outcome
from core.work import Settlement
from webhooks.claiming import Job, lease_time
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.schedule import next_delay

logger = logging.getLogger(__name__)

KEPT = 1000  # characters of an answer


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
        if self.succeeded:
            return ""
        return self.outcome.error or f"http_{self.outcome.status}"


def record(results: Sequence[Result]) -> None:
    """Settle the deliveries, keep the attempts, and count timeouts in a row.

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
        _count_timeouts(results)
        ours = Delivery.objects.settle([_settlement(result) for result in results])
        held = [result for result in results if result.job.delivery.pk in ours]
        bulk.insert_ignoring_conflicts(Attempt, [_attempt(result) for result in held])
    for result in results:
        _report(result)


def _record_alone(result: Result) -> None:
    try:
        _record_together([result])
    except (InterfaceError, OperationalError):
        raise
    except Exception:
        logger.exception("The result of delivery %s could not be written", result.job.delivery.pk)


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
            "last_error": result.reason[:50],
        },
    )


def _delay(result: Result) -> timedelta | None:
    retry_after = result.outcome.headers.get("Retry-After", "")
    return next_delay(result.job.number, result.outcome.status, retry_after)


def _attempt(result: Result) -> dict[str, object]:
    outcome = result.outcome
    return {
        "id": result.id,
        "delivery_id": result.job.delivery.pk,
        "number": result.job.number,
        "status_code": outcome.status,
        "error": result.reason[:50],
        "message": _printable(outcome.message)[:500],
        "response": _printable(outcome.body.decode("utf-8", "replace"))[:KEPT],
        "address": outcome.address[:45],
        "duration_ms": outcome.duration_ms,
        "at": result.at,
    }


def _count_timeouts(results: Sequence[Result]) -> None:
    """A timeout adds one, any answer starts over; endpoints that stay at nought aren't written."""
    added: dict[object, int] = {}
    reset: set[object] = set()
    known = {result.job.endpoint.pk: result.job.endpoint for result in results}
    for result in sorted(results, key=lambda result: result.at):
        endpoint = result.job.endpoint.pk
        if result.outcome.error == "timeout":
            added[endpoint] = added.get(endpoint, 0) + 1
        else:
            added[endpoint] = 0
            reset.add(endpoint)
    rows = [
        {"id": key, "timeouts_in_a_row": count, "start_over": key in reset}
        for key, count in sorted(added.items(), key=lambda item: str(item[0]))
        if count or known[key].timeouts_in_a_row  # type: ignore[index]
    ]
    bulk.update_each(
        Endpoint,
        rows,
        sets=sql.SQL(
            "timeouts_in_a_row = new.timeouts_in_a_row"
            " + CASE WHEN new.start_over THEN 0 ELSE old.timeouts_in_a_row END"
        ),
        carried={"start_over": "boolean"},
    )


def _report(result: Result) -> None:
    metrics.WEBHOOK_ATTEMPTS.labels(result.reason or "success").inc()
    if not result.succeeded:
        logger.info(
            "Webhook attempt failed",
            extra={
                "request_id": result.job.request_id,
                "endpoint": str(result.job.endpoint.pk),
                "event": result.job.event_id,
                "attempt": result.job.number,
                "reason": result.reason,
            },
        )


def _printable(text: str) -> str:
    """Without what PostgreSQL's text can't hold: NUL, and halves of surrogate pairs."""
    storable = text.encode("utf-8", "replace").decode()
    return storable.replace("\x00", "\N{REPLACEMENT CHARACTER}")
