"""An endpoint's status for operators: its state, pending deliveries, and what happens next."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode

from core.admin.base import Badge, bounded_count, due_count, format_duration
from webhooks.health import DISABLED_AFTER, NOTIFY_AFTER, PROBE_AFTER
from webhooks.models import Delivery, Endpoint


class State(StrEnum):
    HEALTHY = "healthy"
    FAILING = "failing"
    HALF_OPEN = "half-open"
    DISABLED = "disabled"


HALF_OPEN = Q(status=Endpoint.Status.ENABLED, failures_in_a_row__gte=PROBE_AFTER)
FAILING = Q(status=Endpoint.Status.ENABLED, failing_since__isnull=False)
# Disabling an endpoint manually records no reason.
AUTO_DISABLED = Q(status=Endpoint.Status.DISABLED) & ~Q(disabled_reason="")


def state_of(endpoint: Endpoint) -> State:
    if endpoint.status == Endpoint.Status.DISABLED:
        return State.DISABLED
    if endpoint.failures_in_a_row >= PROBE_AFTER:
        return State.HALF_OPEN
    return State.FAILING if endpoint.failing_since else State.HEALTHY


def missed_since(endpoints: Iterable[Endpoint]) -> datetime | None:
    """Since when at least one endpoint may have missed events; None if none did."""
    times = [endpoint.missed_since for endpoint in endpoints]
    return min((since for since in times if since), default=None)


def recover_url(endpoints: list[Endpoint], since: datetime | None = None) -> str:
    """The URL of the page that counts what a recovery would send, and starts it."""
    parameters = {"ids": ",".join(str(endpoint.pk) for endpoint in endpoints)}
    if since is not None:
        parameters["since"] = since.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{reverse('admin:webhooks_endpoint_recover')}?{urlencode(parameters)}"


@dataclass(frozen=True, slots=True)
class PendingDeliveries:
    """Counts of unfinished deliveries, each up to core.admin.base.COUNT_LIMIT."""

    waiting: int
    due: int
    in_flight: int
    next_at: datetime | None
    """When the first waiting delivery is due; None when none is waiting."""


@dataclass(frozen=True, slots=True)
class StatusPanel:
    """The panel at the top of an endpoint's page."""

    template: ClassVar[str] = "webhooks/admin/status.html"

    label: Badge
    summary: str
    pending: str
    next_steps: list[str]


def status_panel(endpoint: Endpoint) -> StatusPanel:
    now = timezone.now()
    pending = _pending_deliveries(endpoint, now)
    return StatusPanel(
        Badge(state_of(endpoint)),
        _summary(endpoint, now),
        f"{due_count(pending.waiting)} waiting, {due_count(pending.due)} of them due;"
        f" {pending.in_flight} in flight",
        list(_next_steps(endpoint, pending, now)),
    )


def _pending_deliveries(endpoint: Endpoint, now: datetime) -> PendingDeliveries:
    unfinished = endpoint.deliveries.filter(next_attempt_at__isnull=False)
    is_in_flight = Q(status=Delivery.Status.ATTEMPTING, next_attempt_at__gt=now)
    waiting = unfinished.exclude(is_in_flight)
    return PendingDeliveries(
        waiting=bounded_count(waiting),
        due=bounded_count(unfinished.filter(next_attempt_at__lte=now)),
        in_flight=bounded_count(unfinished.filter(is_in_flight)),
        next_at=waiting.order_by("next_attempt_at")
        .values_list("next_attempt_at", flat=True)
        .first(),
    )


def _summary(endpoint: Endpoint, now: datetime) -> str:
    state = state_of(endpoint)
    if state == State.DISABLED:
        since = f" since {_when(endpoint.disabled_at, now)}" if endpoint.disabled_at else ""
        reason = endpoint.disabled_reason or "manually, in the admin or through the API"
        return f"Disabled{since}: {reason}."
    if endpoint.failing_since is None:
        return "Healthy: no request has failed since the last success."
    since = f"Failing since {_when(endpoint.failing_since, now)}, with no success since then."
    count = f"Consecutive requests with no response, 429 or 5xx: {endpoint.failures_in_a_row:,}."
    if state == State.HALF_OPEN:
        return f"{since} {count} Half-open: it is probed with one request at a time."
    return f"{since} {count}" if endpoint.failures_in_a_row else since


def _next_steps(endpoint: Endpoint, pending: PendingDeliveries, now: datetime) -> Iterator[str]:
    if endpoint.status == Endpoint.Status.DISABLED:
        yield from _disabled_steps(endpoint, pending)
        return
    if state_of(endpoint) == State.HALF_OPEN:
        yield _next_probe(endpoint, pending, now)
    else:
        yield _next_request(endpoint, pending, now)
    if endpoint.failing_since is not None:
        yield from _failing_steps(endpoint, endpoint.failing_since, now)


def _disabled_steps(endpoint: Endpoint, pending: PendingDeliveries) -> Iterator[str]:
    if pending.waiting:
        yield f"{_deliveries(pending.waiting)} to be marked as failed by the cleanup."
    since = missed_since([endpoint])
    missed = f"what it missed since {since:%Y-%m-%d %H:%M:%S}" if since else "what it missed"
    yield format_html(
        'Nothing is sent to it. Enable it, then <a href="{}">recover {}</a>.',
        recover_url([endpoint], since),
        missed,
    )


def _next_probe(endpoint: Endpoint, pending: PendingDeliveries, now: datetime) -> str:
    if pending.in_flight:
        return f"{_deliveries(pending.waiting)}; a probe is in flight."
    if pending.next_at is None:
        return "No delivery is waiting: the next event will be the next probe."
    at = max(endpoint.probe_at or now, pending.next_at)
    if at <= now:
        return f"{_deliveries(pending.waiting)}; the next probe is due now."
    return f"{_deliveries(pending.waiting)}; the next probe is due at {_when(at, now)}."


def _next_request(endpoint: Endpoint, pending: PendingDeliveries, now: datetime) -> str:
    if pending.next_at is None:
        return "No delivery is waiting: the next event will be sent immediately."
    if pending.due:
        limits = f"at most {settings.WEBHOOK_PER_ENDPOINT} requests at a time"
        if endpoint.rate_limit is not None:
            limits += f" and {endpoint.rate_limit} per second"
        return f"{_deliveries(pending.waiting)}; due deliveries are sent now, {limits}."
    return f"{_deliveries(pending.waiting)}; the first is due at {_when(pending.next_at, now)}."


def _failing_steps(endpoint: Endpoint, since: datetime, now: datetime) -> Iterator[str]:
    if endpoint.failing_notified_at is not None:
        notified_at = _when(endpoint.failing_notified_at, now)
        yield f"The event webhook.failing was published at {notified_at}."
    else:
        notify_at = _when(since + NOTIFY_AFTER, now)
        yield f"webhook.failing will be published at the first failure after {notify_at}."
    disable_at = _when(since + DISABLED_AFTER, now)
    yield (
        f"It will be disabled at the first failure after {disable_at},"
        " unless a request succeeds before that."
    )


def _deliveries(count: int) -> str:
    return "1 delivery is waiting" if count == 1 else f"{due_count(count)} deliveries are waiting"


def _when(moment: datetime, now: datetime) -> str:
    """`2026-11-26 10:00:00 (in 4 days)`, in UTC."""
    distance = format_duration(abs(moment - now))
    relative = f"in {distance}" if moment > now else f"{distance} ago"
    return f"{moment:%Y-%m-%d %H:%M:%S} ({relative})"
