"""Tables on the pages of endpoints, deliveries and events."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.utils.text import Truncator

from core.admin.base import Label, Panel, folded, link, list_url
from events.models import Event
from webhooks.models import Attempt, Delivery, Endpoint, Recovery

SHOWN = 25
# Of a delivery's endpoint: what no page shows is not loaded.
SEALED = ("endpoint__encrypted_keyring", "endpoint__encrypted_headers")
_FAILURES = 10
_LOOKED_AT = 1_000  # newest deliveries whose last word is an error
_SUMMARY = 60


def last_failures(endpoint: Endpoint) -> Panel:
    """Those that were tried: of what a disabled endpoint is owed, most never was."""
    newest = endpoint.deliveries.exclude(last_error="").order_by("-event_id")
    refreshed_at = newest.values_list("pk", "attempts")[:_LOOKED_AT]
    tried = [key for key, attempts in refreshed_at if attempts][:_FAILURES]
    rows = Delivery.objects.filter(pk__in=tried).select_related("event").defer("event__body")
    deliveries = list(rows.order_by("-event_id"))
    last = _last_attempts(deliveries)
    headers = ["Event", "Status", "Attempts", "Last answer", "Body", "Next tried"]
    return Panel(
        "Last failures",
        headers,
        [_failure(delivery, last.get(delivery.pk)) for delivery in deliveries],
        empty="None among the newest deliveries.",
    )


def last_deliveries(endpoint: Endpoint) -> Panel:
    # By event: its ids are in the order of time and in the unique index behind the endpoint.
    latest = endpoint.deliveries.select_related("event").defer("event__body").order_by("-event_id")
    rows = [
        [
            link(delivery, delivery.event.type),
            Label(delivery.status),
            delivery.created_at,
            delivery.attempts,
            delivery.last_status_code or delivery.last_error,
        ]
        for delivery in latest[:SHOWN]
    ]
    headers = ["Event", "Status", "Created", "Attempts", "Last answer"]
    return Panel("Last deliveries", headers, rows, empty="None yet.")


def recoveries(endpoint: Endpoint) -> Panel:
    rows = [
        [
            link(recovery, f"{recovery.since:%Y-%m-%d %H:%M:%S}"),
            recovery.until,
            recovery.only,
            Label(state_of_recovery(recovery)),
            f"{recovery.recovered:,}",
            recovery.last_error,
        ]
        for recovery in endpoint.recoveries.order_by("-pk")[:_FAILURES]
    ]
    headers = ["Since", "Until", "Only", "State", "Sent again", "Why it ended"]
    return Panel("Recoveries", headers, rows, empty="None yet.")


def state_of_recovery(recovery: Recovery) -> str:
    if recovery.next_attempt_at is not None:
        return "running"
    return "ended early" if recovery.last_error else "done"


def attempts(delivery: Delivery) -> Panel:
    rows = [
        [
            attempt.number,
            attempt.at,
            attempt.status_code or Label(attempt.error),
            f"{attempt.duration_ms} ms",
            attempt.response or attempt.message,
            attempt.address,
        ]
        for attempt in delivery.tries.order_by("-pk")[:SHOWN]
    ]
    headers = ["Attempt", "At", "Answer", "Took", "Body", "Address"]
    return Panel("Attempts", headers, rows, empty="None yet.")


def deliveries_of(event: Event) -> Panel:
    owed = Delivery.objects.filter(event=event.pk).select_related("endpoint")
    rows = [
        [
            link(delivery, delivery.endpoint.url),
            Label(delivery.status),
            delivery.attempts,
            delivery.last_status_code or delivery.last_error,
            delivery.next_attempt_at,
        ]
        for delivery in owed.defer(*SEALED)[:SHOWN]
    ]
    headers = ["Endpoint", "Status", "Attempts", "Last answer", "Next attempt"]
    return Panel(
        "Deliveries",
        headers,
        rows,
        more=list_url(Delivery, q=str(event.pk)),
        empty="No endpoint asked for it.",
    )


def _failure(delivery: Delivery, last: Attempt | None) -> list[Any]:
    answer = (last.status_code or last.error) if last else ""
    return [
        link(delivery, delivery.event.type),
        Label(delivery.status),
        delivery.attempts,
        answer or delivery.last_error,
        _body(last),
        delivery.next_attempt_at or "never",
    ]


def _last_attempts(deliveries: Sequence[Delivery]) -> dict[UUID, Attempt]:
    tries = Attempt.objects.filter(delivery__in=[delivery.pk for delivery in deliveries])
    newest = tries.order_by("delivery_id", "-pk").distinct("delivery_id")
    return {attempt.delivery_id: attempt for attempt in newest}


def _body(attempt: Attempt | None) -> Any:
    """What was answered, folded when it is longer than a line."""
    text = (attempt.response or attempt.message) if attempt else ""
    start = Truncator(" ".join(text.split())).chars(_SUMMARY)
    return text if text == start else folded(start, text)
