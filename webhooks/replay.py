"""Sending again: single deliveries, and what happened in a span of time (a recovery).

A recovery is a walk over the workspace's events in the order of their ids. Each batch commits
together with the place it came to, so that a worker that dies between two loses and doubles
nothing.
"""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Subquery, TextField, Value, When
from django.db.models.expressions import OuterRef
from django.db.models.functions import Now
from django.utils import timezone
from psycopg import sql

from core.db.ids import uuid7_floor
from core.errors import Conflict, ValidationFailed
from core.queue.wake import wake
from core.queue.work import Settlement
from events.catalogue import CATALOGUE, matches
from events.models import Event
from webhooks.fanout import DELIVER, create_deliveries, subscription_of
from webhooks.models import Delivery, Endpoint, Recovery

logger = logging.getLogger(__name__)

RECOVER = "webhooks.tasks.recover_due_webhooks"
BATCH = 1000
COUNTED = 100_000

# An event's id is made before its `created_at`: at most this long, even where a process stalls.
_SKEW = timedelta(seconds=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOOK = 0.2  # seconds between looks at a recovery that a worker holds

_SENT_AGAIN = {
    Recovery.Only.FAILED: [Delivery.Status.FAILED],
    Recovery.Only.ALL: [Delivery.Status.FAILED, Delivery.Status.SUCCESS],
}


class EndpointDisabled(Conflict):
    name = "webhook_disabled"


def replay(deliveries: Sequence[Delivery]) -> int:
    """Send finished deliveries again, and waiting ones at once; how many that makes.

    The event stays as it was, id and bytes; the schedule of retries begins anew. Left alone is
    what is being sent at this moment, and what disabled endpoints are owed.
    """
    rows = Delivery.objects.filter(
        pk__in=[delivery.pk for delivery in deliveries], endpoint__in=Endpoint.objects.enabled()
    )
    with transaction.atomic():
        return _make_due(rows.exclude(status=Delivery.Status.ATTEMPTING))


def require_enabled(endpoint: Endpoint) -> None:
    """EndpointDisabled when nothing would be sent to it."""
    if not Endpoint.objects.enabled().filter(pk=endpoint.pk).exists():
        raise EndpointDisabled("The webhook is disabled. Enable it first: PATCH its `status`.")


def check_span(since: datetime, until: datetime) -> None:
    """ValidationFailed when it is none, or goes on in the future."""
    problems: dict[str, str] = {}
    if until > timezone.now():
        problems["until"] = "must not be in the future"
    if since >= until:
        problems["since"] = "must be before `until`"
    if problems:
        raise ValidationFailed(problems)


def start_recovery(endpoint: Endpoint, *, since: datetime, until: datetime, only: str) -> Recovery:
    """Send again what happened from `since` on and before `until`; only=failed or all.

    failed: what failed, and what the endpoint asks for and never got although it was there.
    all: what succeeded too, and what happened before the endpoint was made. The first batch is
    done on return, the rest in the background. ValidationFailed for a span that is none,
    EndpointDisabled.
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
    """How many deliveries a recovery would send now; COUNTED stands for that many or more."""
    owed = Delivery.objects.filter(endpoint=endpoint, event=OuterRef("pk"))
    events = (
        _in_span(endpoint, since, until)
        .filter(_asked_for(endpoint))
        .annotate(owed=Subquery(owed.values("status")[:1]))
        .filter(
            Q(owed__in=_SENT_AGAIN[Recovery.Only(only)]) | Q(owed=None) & _missed(endpoint, only)
        )
    )
    return events[:COUNTED].count()


def recover_due() -> int:
    """Claim a recovery and do its next batch; how many were claimed."""
    claimed = Recovery.objects.claim(limit=1)
    for recovery in claimed:
        _continue(recovery)
    return len(claimed)


def finish(recovery: Recovery) -> None:
    """Do all batches that are left, here and now; those that a worker has taken it does."""
    this = sql.SQL("id = {}").format(sql.Literal(recovery.pk))
    while recovery.next_attempt_at is not None:
        claimed = Recovery.objects.claim(limit=1, where=this)
        if not claimed:
            time.sleep(_LOOK)
        for each in claimed:
            _continue(each)
        recovery.refresh_from_db()


def status_of(recovery: Recovery) -> Literal["pending", "done", "failed"]:
    if recovery.next_attempt_at is not None:
        return "pending"
    return "failed" if recovery.last_error else "done"


def _make_due(rows: "QuerySet[Delivery]") -> int:
    """Open deliveries are due now, finished ones are open again; how many. In a transaction.

    Rows that somebody has locked are passed over: they are just being sent, or replayed already.
    To wait for them could end in a deadlock with the dispatcher.
    """
    locked = rows.order_by("pk").select_for_update(skip_locked=True, no_key=True)
    keys = list(locked.values_list("pk", flat=True))
    finished = Q(next_attempt_at=None)
    Delivery.objects.filter(pk__in=keys).update(
        status=Delivery.Status.PENDING,
        next_attempt_at=Now(),
        attempts_before_replay=Case(
            When(finished, then=F("attempts")), default=F("attempts_before_replay")
        ),
        # The fence: a result that comes late, or is written twice, is not this replay's.
        claims=F("claims") + Case(When(finished, then=1), default=0),
    )
    wake(DELIVER)
    return len(keys)


def _continue(recovery: Recovery) -> None:
    try:
        with transaction.atomic():
            if recovery.is_poisoned:
                _settle(recovery, last_error="Workers died over this recovery time and again.")
            else:
                _advance(recovery)
    except Exception:  # others wait for this task too; it is tried again after the lease
        logger.exception("A batch of recovery %s failed", recovery.pk)


def _advance(recovery: Recovery) -> None:
    """One batch: seven statements, whatever its size."""
    endpoint = Endpoint.objects.enabled().filter(pk=recovery.endpoint_id).first()
    if endpoint is None:
        _settle(recovery, last_error="The webhook was disabled or deleted meanwhile.")
        return
    events = _next_events(endpoint, recovery)
    subscription = subscription_of(endpoint)
    wanted = [event for event in events if subscription.wants(event)]
    recovery.recovered += _send_again(endpoint, wanted, recovery.only)
    if events:
        recovery.reached = events[-1].pk
    _settle(recovery, more=len(events) == BATCH)


def _next_events(endpoint: Endpoint, recovery: Recovery) -> Sequence[Event]:
    """Those that follow, without their bodies but for the notices that may be on the endpoint."""
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
    may_be_missed = [
        event
        for event in events
        if only == Recovery.Only.ALL or event.created_at >= endpoint.created_at
    ]
    owed = create_deliveries([(endpoint.pk, event.pk) for event in may_be_missed])
    again = _make_due(
        Delivery.objects.filter(
            endpoint=endpoint,
            event__in=[event.pk for event in events],
            status__in=_SENT_AGAIN[Recovery.Only(only)],
        )
    )
    return len(owed) + again


def _settle(recovery: Recovery, *, more: bool = False, last_error: str = "") -> None:
    """In the batch's transaction: it counts only if the recovery is still ours."""
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
        wake(RECOVER)
    else:
        recovery.next_attempt_at = None


def _in_span(endpoint: Endpoint, since: datetime, until: datetime) -> "QuerySet[Event]":
    """The ids bound what the index gives, and the times decide."""
    return Event.objects.filter(
        workspace=endpoint.workspace_id,
        pk__gte=uuid7_floor(max(since, _EPOCH) - _SKEW),
        pk__lt=uuid7_floor(until + _SKEW),
        created_at__gte=since,
        created_at__lt=until,
    )


def _missed(endpoint: Endpoint, only: str) -> Q:
    """Of events that are not owed to the endpoint: those that a recovery sends."""
    return Q() if only == Recovery.Only.ALL else Q(created_at__gte=endpoint.created_at)


def _asked_for(endpoint: Endpoint) -> Q:
    """What `Subscription.wants` says, for the database to count by."""
    types = [name for name in CATALOGUE if matches(endpoint.event_types, name)]
    about = Q()
    for column in ("domain_id", "pod_id", "inbox_id"):
        if ids := getattr(endpoint, f"{column}s"):
            about &= Q(**{f"{column}__in": ids})
    is_notice = Q(type__startswith="webhook.")
    on_itself = Q(body__contains=f'"webhook_id":"{endpoint.pk}"')
    return Q(type__in=types) & (is_notice & ~on_itself | ~is_notice & about)
