"""Replaying single deliveries, and recovering all events of a time span.

A recovery walks over the workspace's events in the order of their ids. Each batch commits
together with its position, so a worker that crashes loses and repeats nothing.
"""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Subquery, TextField, Value, When
from django.db.models.expressions import OuterRef
from django.db.models.functions import Least, Now
from django.utils import timezone
from psycopg import sql

from core.db.ids import uuid7_floor
from core.errors import Conflict, ValidationFailed
from core.queue.queues import Batch
from core.queue.wake import pass_on, wake
from core.queue.work import Settlement
from events.catalogue import CATALOGUE, matches
from events.models import Event
from webhooks import queues
from webhooks.fanout import create_deliveries, subscription_of
from webhooks.models import Delivery, Endpoint, Recovery

logger = logging.getLogger(__name__)

BATCH = 1000
COUNT_LIMIT = 100_000

# The time in an event's id is earlier than its `created_at` by at most this, even if a process
# stalls in between.
_SKEW = timedelta(seconds=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POLL_INTERVAL = 0.2  # seconds between checks of a recovery that a worker has claimed

_REPLAYED_STATUSES = {
    Recovery.Only.FAILED: [Delivery.Status.FAILED],
    Recovery.Only.ALL: [Delivery.Status.FAILED, Delivery.Status.SUCCESS],
}


class EndpointDisabled(Conflict):
    name = "webhook_disabled"


def replay(deliveries: Sequence[Delivery]) -> int:
    """Send finished deliveries again and pending ones immediately; return how many.

    The event's id and body stay the same; the retry schedule restarts. Deliveries in flight and
    those of disabled endpoints are skipped.
    """
    rows = Delivery.objects.filter(
        pk__in=[delivery.pk for delivery in deliveries], endpoint__in=Endpoint.objects.enabled()
    )
    with transaction.atomic():
        return _make_due(rows.exclude(status=Delivery.Status.ATTEMPTING))


def require_enabled(endpoint: Endpoint) -> None:
    """Raise EndpointDisabled if the endpoint is disabled or deleted."""
    if not Endpoint.objects.enabled().filter(pk=endpoint.pk).exists():
        raise EndpointDisabled("The webhook is disabled. Enable it first: PATCH its `status`.")


def check_span(since: datetime, until: datetime) -> None:
    """Raise ValidationFailed if the span is empty or ends in the future."""
    problems: dict[str, str] = {}
    if until > timezone.now():
        problems["until"] = "must not be in the future"
    if since >= until:
        problems["since"] = "must be before `until`"
    if problems:
        raise ValidationFailed(problems)


def start_recovery(endpoint: Endpoint, *, since: datetime, until: datetime, only: str) -> Recovery:
    """Send the events with `since` <= created_at < `until` again; `only` is failed or all.

    failed: failed deliveries, and matching events since the endpoint's creation that have no
    delivery. all: successful deliveries too, and events from before the endpoint's creation. The
    first batch is done on return, the rest in the background. Raises ValidationFailed for an
    invalid span, and EndpointDisabled.
    """
    check_span(since, until)
    require_enabled(endpoint)
    with transaction.atomic():
        recovery = Recovery.objects.create(
            endpoint=endpoint, since=since, until=until, only=Recovery.Only(only)
        )
        _advance(recovery)
    return recovery


def count(endpoint: Endpoint, *, since: datetime, until: datetime, only: str) -> int:
    """How many deliveries a recovery would send now, counting up to COUNT_LIMIT."""
    delivery = Delivery.objects.filter(endpoint=endpoint, event=OuterRef("pk"))
    has_replayed_status = Q(delivery_status__in=_REPLAYED_STATUSES[Recovery.Only(only)])
    events = (
        _in_span(endpoint, since, until)
        .filter(_subscribed(endpoint))
        .annotate(delivery_status=Subquery(delivery.values("status")[:1]))
        .filter(has_replayed_status | Q(delivery_status=None) & _missed(endpoint, only))
    )
    return events[:COUNT_LIMIT].count()


def recover_due() -> Batch:
    """Claim one recovery and run its next batch of events."""
    claimed = Recovery.objects.claim(limit=1)
    pass_on(queues.RECOVER.task, claimed=len(claimed), limit=1)
    processed = [_continue(recovery) for recovery in claimed].count(True)
    return Batch(len(claimed), processed, failed=len(claimed) - processed)


def finish(recovery: Recovery) -> None:
    """Run all remaining batches in this process; wait for any that a worker has claimed."""
    this = sql.SQL("id = {}").format(sql.Literal(recovery.pk))
    while recovery.next_attempt_at is not None:
        claimed = Recovery.objects.claim(limit=1, where=this)
        if not claimed:
            time.sleep(_POLL_INTERVAL)
        for each in claimed:
            _continue(each)
        recovery.refresh_from_db()


def status_of(recovery: Recovery) -> Literal["pending", "done", "failed"]:
    if recovery.next_attempt_at is not None:
        return "pending"
    return "failed" if recovery.last_error else "done"


def _make_due(rows: "QuerySet[Delivery]") -> int:
    """Make deliveries due now, reopening finished ones; return how many. In a transaction.

    Locked rows are skipped: they are being sent or replayed right now, and waiting for them
    could deadlock with the dispatcher.
    """
    locked = rows.order_by("pk").select_for_update(skip_locked=True, no_key=True)
    keys = list(locked.values_list("pk", flat=True))
    finished = Q(next_attempt_at=None)
    Delivery.objects.filter(pk__in=keys).update(
        status=Delivery.Status.PENDING,
        # A pending one keeps its place in the queue; the null of a finished one is ignored.
        next_attempt_at=Least("next_attempt_at", Now()),
        attempts_before_replay=Case(
            When(finished, then=F("attempts")), default=F("attempts_before_replay")
        ),
        # Fencing: a late or repeated result of an earlier claim must not settle this replay.
        claims=F("claims") + Case(When(finished, then=1), default=0),
    )
    wake(queues.DELIVER.task)
    return len(keys)


def _continue(recovery: Recovery) -> bool:
    """Run the next batch of a claimed recovery; return whether that succeeded."""
    try:
        with transaction.atomic():
            if recovery.is_poisoned:
                _settle(recovery, last_error="Workers crashed repeatedly during this recovery.")
            else:
                _advance(recovery)
    except Exception:  # other recoveries must go on; this one is retried after its lease
        logger.exception("A batch of recovery %s failed", recovery.pk)
        return False
    return True


def _advance(recovery: Recovery) -> None:
    """Run one batch; always seven statements."""
    endpoint = Endpoint.objects.enabled().filter(pk=recovery.endpoint_id).first()
    if endpoint is None:
        _settle(recovery, last_error="The webhook was disabled or deleted in the meantime.")
        return
    events = _next_events(endpoint, recovery)
    subscription = subscription_of(endpoint)
    matching = [event for event in events if subscription.matches(event)]
    recovery.recovered += _send_again(endpoint, matching, recovery.only)
    if events:
        recovery.reached = events[-1].pk
    _settle(recovery, more=len(events) == BATCH)


def _next_events(endpoint: Endpoint, recovery: Recovery) -> Sequence[Event]:
    """The next batch. Only `webhook.*` events have their body: it says whom they are about."""
    rows = _in_span(endpoint, recovery.since, recovery.until)
    if recovery.reached:
        rows = rows.filter(pk__gt=recovery.reached)
    notice = Case(When(type__startswith="webhook.", then=F("body")), default=Value("", TextField()))
    rows = rows.annotate(notice=notice).order_by("pk")
    events = list(rows.only("type", "domain_id", "pod_id", "inbox_id", "created_at")[:BATCH])
    for event in events:
        event.body = event.notice
    return events


def _send_again(endpoint: Endpoint, events: Sequence[Event], only: str) -> int:
    missed_candidates = [
        event
        for event in events
        if only == Recovery.Only.ALL or event.created_at >= endpoint.created_at
    ]
    created = create_deliveries([(endpoint.pk, event.pk) for event in missed_candidates])
    replayed = _make_due(
        Delivery.objects.filter(
            endpoint=endpoint,
            event__in=[event.pk for event in events],
            status__in=_REPLAYED_STATUSES[Recovery.Only(only)],
        )
    )
    return len(created) + replayed


def _settle(recovery: Recovery, *, more: bool = False, last_error: str = "") -> None:
    """Save progress in the batch's transaction, which is rolled back if the lease was lost."""
    settlement = Settlement(
        recovery,
        retry_in=timedelta() if more else None,
        changes={
            "reached": recovery.reached,
            "recovered": recovery.recovered,
            "last_error": last_error,
        },
    )
    if not Recovery.objects.settle([settlement]):
        transaction.set_rollback(True)
        return
    recovery.last_error = last_error
    if more:
        wake(queues.RECOVER.task)
    else:
        recovery.next_attempt_at = None


def _in_span(endpoint: Endpoint, since: datetime, until: datetime) -> "QuerySet[Event]":
    """The id bounds allow an index scan; `created_at` decides."""
    return Event.objects.filter(
        workspace=endpoint.workspace_id,
        pk__gte=uuid7_floor(max(since, _EPOCH) - _SKEW),
        pk__lt=uuid7_floor(until + _SKEW),
        created_at__gte=since,
        created_at__lt=until,
    )


def _missed(endpoint: Endpoint, only: str) -> Q:
    """Which events without a delivery a recovery sends."""
    return Q() if only == Recovery.Only.ALL else Q(created_at__gte=endpoint.created_at)


def _subscribed(endpoint: Endpoint) -> Q:
    """The same condition as `Subscription.matches`, for queries."""
    types = [name for name in CATALOGUE if matches(endpoint.event_types, name)]
    about = Q()
    for column in ("domain_id", "pod_id", "inbox_id"):
        if ids := getattr(endpoint, f"{column}s"):
            about &= Q(**{f"{column}__in": ids})
    is_notice = Q(type__startswith="webhook.")
    on_itself = Q(body__contains=f'"webhook_id":"{endpoint.pk}"')
    return Q(type__in=types) & (is_notice & ~on_itself | ~is_notice & about)
