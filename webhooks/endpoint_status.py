"""How an endpoint stands, in plain words: its state, what is owed to it, what happens next."""

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

from core.admin.base import Label, bounded_count, due_count, span
from webhooks.health import DISABLED_AFTER, PROBED_FROM, TOLD_AFTER
from webhooks.models import Delivery, Endpoint


class State(StrEnum):
    HEALTHY = "healthy"
    FAILING = "failing"
    HALF_OPEN = "half-open"
    DISABLED = "disabled"


HALF_OPEN = Q(status=Endpoint.Status.ENABLED, failures_in_a_row__gte=PROBED_FROM)
FAILING = Q(status=Endpoint.Status.ENABLED, failing_since__isnull=False)
# By itself: whoever disables an endpoint by hand gives no reason.
SWITCHED_OFF = Q(status=Endpoint.Status.DISABLED) & ~Q(disabled_reason="")


def state_of(endpoint: Endpoint) -> State:
    if endpoint.status == Endpoint.Status.DISABLED:
        return State.DISABLED
    if endpoint.failures_in_a_row >= PROBED_FROM:
        return State.HALF_OPEN
    return State.FAILING if endpoint.failing_since else State.HEALTHY


def missed_since(endpoints: Iterable[Endpoint]) -> datetime | None:
    """From when on events may not have reached one of them, as far as their rows tell."""
    times = [endpoint.missed_since for endpoint in endpoints]
    return min((since for since in times if since), default=None)


def recover_url(endpoints: list[Endpoint], since: datetime | None = None) -> str:
    """The page that says how much would be sent again, and asks."""
    parameters = {"ids": ",".join(str(endpoint.pk) for endpoint in endpoints)}
    if since is not None:
        parameters["since"] = since.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{reverse('admin:webhooks_endpoint_recover')}?{urlencode(parameters)}"


@dataclass(frozen=True, slots=True)
class Owed:
    """Deliveries that are not finished; counts at most core.admin.base.COUNTED."""

    waiting: int
    due: int
    in_flight: int
    next_at: datetime | None
    """When the first of those that wait is due; None when nothing waits."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The panel at the head of an endpoint's page."""

    template: ClassVar[str] = "webhooks/admin/standing.html"

    label: Label
    summary: str
    owed: str
    following: list[str]


def standing(endpoint: Endpoint) -> Standing:
    now = timezone.now()
    owed = _owed(endpoint, now)
    return Standing(
        Label(state_of(endpoint)),
        _summary(endpoint, now),
        f"{due_count(owed.waiting)} waiting, {due_count(owed.due)} of them due;"
        f" {owed.in_flight} in flight",
        list(_following(endpoint, owed, now)),
    )


def _owed(endpoint: Endpoint, now: datetime) -> Owed:
    unfinished = endpoint.deliveries.filter(next_attempt_at__isnull=False)
    is_flying = Q(status=Delivery.Status.ATTEMPTING, next_attempt_at__gt=now)
    waiting = unfinished.exclude(is_flying)
    return Owed(
        waiting=bounded_count(waiting),
        due=bounded_count(unfinished.filter(next_attempt_at__lte=now)),
        in_flight=bounded_count(unfinished.filter(is_flying)),
        next_at=waiting.order_by("next_attempt_at")
        .values_list("next_attempt_at", flat=True)
        .first(),
    )


def _summary(endpoint: Endpoint, now: datetime) -> str:
    state = state_of(endpoint)
    if state == State.DISABLED:
        since = f" since {_when(endpoint.disabled_at, now)}" if endpoint.disabled_at else ""
        return f"Disabled{since}: {endpoint.disabled_reason or 'by hand, here or by the API'}."
    if endpoint.failing_since is None:
        return "Healthy: no request has failed since the last success."
    since = f"Failing since {_when(endpoint.failing_since, now)}, without one success."
    row = f"{endpoint.failures_in_a_row:,} in a row ended in no answer, a 429 or a 5xx"
    if state == State.HALF_OPEN:
        return f"{since} {row}: it is half-open, probed with one request at a time."
    return f"{since} {row}." if endpoint.failures_in_a_row else since


def _following(endpoint: Endpoint, owed: Owed, now: datetime) -> Iterator[str]:
    if endpoint.status == Endpoint.Status.DISABLED:
        yield from _of_disabled(endpoint, owed)
        return
    if state_of(endpoint) == State.HALF_OPEN:
        yield _next_probe(endpoint, owed, now)
    else:
        yield _next_request(endpoint, owed, now)
    if endpoint.failing_since is not None:
        yield from _of_failing(endpoint, endpoint.failing_since, now)


def _of_disabled(endpoint: Endpoint, owed: Owed) -> Iterator[str]:
    if owed.waiting:
        yield f"{_deliveries(owed.waiting)} to be given up, because nothing is sent any more."
    since = missed_since([endpoint])
    missed = f"what it missed since {since:%Y-%m-%d %H:%M:%S}" if since else "what it missed"
    yield format_html(
        'Nothing is sent to it. Enable it, then <a href="{}">recover {}</a>.',
        recover_url([endpoint], since),
        missed,
    )


def _next_probe(endpoint: Endpoint, owed: Owed, now: datetime) -> str:
    if owed.in_flight:
        return f"{_deliveries(owed.waiting)}; a probe is under way."
    if owed.next_at is None:
        return "Nothing waits: the next event is the next probe."
    at = max(endpoint.probe_at or now, owed.next_at)
    if at <= now:
        return f"{_deliveries(owed.waiting)}; the next probe goes out now."
    return f"{_deliveries(owed.waiting)}; the next probe goes out at {_when(at, now)}."


def _next_request(endpoint: Endpoint, owed: Owed, now: datetime) -> str:
    if owed.next_at is None:
        return "Nothing waits: the next event goes out at once."
    if owed.due:
        pace = f"at most {settings.WEBHOOK_PER_ENDPOINT} requests at a time"
        if endpoint.rate_limit is not None:
            pace += f" and {endpoint.rate_limit} a second"
        return f"{_deliveries(owed.waiting)}; those that are due go out now, {pace}."
    return f"{_deliveries(owed.waiting)}; the first goes out at {_when(owed.next_at, now)}."


def _of_failing(endpoint: Endpoint, since: datetime, now: datetime) -> Iterator[str]:
    if endpoint.failing_notified_at is not None:
        yield f"The event webhook.failing told of it at {_when(endpoint.failing_notified_at, now)}."
    else:
        told = _when(since + TOLD_AFTER, now)
        yield f"The event webhook.failing will tell of it at the first failure after {told}."
    off = _when(since + DISABLED_AFTER, now)
    yield f"It is switched off at the first failure after {off}, unless a request succeeds before."


def _deliveries(count: int) -> str:
    return "1 delivery waits" if count == 1 else f"{due_count(count)} deliveries wait"


def _when(moment: datetime, now: datetime) -> str:
    """`2026-11-26 10:00:00 (in 4 days)`, in UTC."""
    away = span(abs(moment - now))
    relative = f"in {away}" if moment > now else f"{away} ago"
    return f"{moment:%Y-%m-%d %H:%M:%S} ({relative})"
