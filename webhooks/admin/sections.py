"""Tables on the pages of endpoints, deliveries and events."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.utils.text import Truncator

from core.admin.base import Badge, Panel, collapsible, link, list_url
from events.models import Event
from webhooks.models import Attempt, Delivery, Endpoint, Recovery

_ROWS = 25
# Columns of a delivery's endpoint that no page shows, so they are not loaded.
ENDPOINT_SECRETS = ("endpoint__encrypted_keyring", "endpoint__encrypted_headers")
_SHORT_ROWS = 10
_SCANNED = 1_000  # newest deliveries with an error
_SUMMARY_LENGTH = 60


def last_failures(endpoint: Endpoint) -> Panel:
    """Only attempted ones: most deliveries that fail on disabling were never attempted."""
    newest = endpoint.deliveries.exclude(last_error="").order_by("-event_id")
    scanned = newest.values_list("pk", "attempts")[:_SCANNED]
    attempted = [key for key, attempts in scanned if attempts][:_SHORT_ROWS]
    rows = Delivery.objects.filter(pk__in=attempted).select_related("event").defer("event__body")
    deliveries = list(rows.order_by("-event_id"))
    last = _last_attempts(deliveries)
    headers = ["Event", "Status", "Attempts", "Last response", "Body", "Next attempt"]
    return Panel(
        "Last failures",
        headers,
        [_failure(delivery, last.get(delivery.pk)) for delivery in deliveries],
        empty="None among the newest deliveries.",
    )


def last_deliveries(endpoint: Endpoint) -> Panel:
    # Event ids are in time order, and the unique index on (endpoint, event) delivers them sorted.
    latest = endpoint.deliveries.select_related("event").defer("event__body").order_by("-event_id")
    rows = [
        [
            link(delivery, delivery.event.type),
            Badge(delivery.status),
            delivery.created_at,
            delivery.attempts,
            delivery.last_status_code or delivery.last_error,
        ]
        for delivery in latest[:_ROWS]
    ]
    headers = ["Event", "Status", "Created", "Attempts", "Last response"]
    return Panel("Last deliveries", headers, rows, empty="None yet.")


def recoveries(endpoint: Endpoint) -> Panel:
    rows = [
        [
            link(recovery, f"{recovery.since:%Y-%m-%d %H:%M:%S}"),
            recovery.until,
            recovery.only,
            Badge(state_of_recovery(recovery)),
            f"{recovery.recovered:,}",
            recovery.last_error,
        ]
        for recovery in endpoint.recoveries.order_by("-pk")[:_SHORT_ROWS]
    ]
    headers = ["Since", "Until", "Only", "State", "Sent again", "Error"]
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
            attempt.status_code or Badge(attempt.error),
            f"{attempt.duration_ms} ms",
            attempt.response or attempt.message,
            attempt.address,
        ]
        for attempt in delivery.attempt_rows.order_by("-pk")[:_ROWS]
    ]
    headers = ["Attempt", "At", "Response", "Duration", "Body", "Address"]
    return Panel("Attempts", headers, rows, empty="None yet.")


def deliveries_of(event: Event) -> Panel:
    deliveries = Delivery.objects.filter(event=event.pk).select_related("endpoint")
    rows = [
        [
            link(delivery, delivery.endpoint.url),
            Badge(delivery.status),
            delivery.attempts,
            delivery.last_status_code or delivery.last_error,
            delivery.next_attempt_at,
        ]
        for delivery in deliveries.defer(*ENDPOINT_SECRETS)[:_ROWS]
    ]
    headers = ["Endpoint", "Status", "Attempts", "Last response", "Next attempt"]
    return Panel(
        "Deliveries",
        headers,
        rows,
        more=list_url(Delivery, q=str(event.pk)),
        empty="No endpoint is subscribed to it.",
    )


def _failure(delivery: Delivery, last: Attempt | None) -> list[Any]:
    result = (last.status_code or last.error) if last else ""
    return [
        link(delivery, delivery.event.type),
        Badge(delivery.status),
        delivery.attempts,
        result or delivery.last_error,
        _body(last),
        delivery.next_attempt_at or "never",
    ]


def _last_attempts(deliveries: Sequence[Delivery]) -> dict[UUID, Attempt]:
    attempts = Attempt.objects.filter(delivery__in=[delivery.pk for delivery in deliveries])
    newest = attempts.order_by("delivery_id", "-pk").distinct("delivery_id")
    return {attempt.delivery_id: attempt for attempt in newest}


def _body(attempt: Attempt | None) -> Any:
    """The response body, folded when it is longer than a line."""
    text = (attempt.response or attempt.message) if attempt else ""
    start = Truncator(" ".join(text.split())).chars(_SUMMARY_LENGTH)
    return text if text == start else collapsible(start, text)
