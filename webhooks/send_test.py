"""Test events: one real, signed request, sent immediately and not stored."""

import asyncio
from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from core.db.ids import uuid7
from core.errors import ValidationFailed
from core.outbound import OutboundClient, Outcome
from core.queue.wake import wake
from core.server.waits import TooManyWaits, Waits
from events.catalogue import CATALOGUE, EventType
from events.envelopes import serialize
from webhooks import queues
from webhooks.dispatch.outbound_policy import outbound_policy
from webhooks.dispatch.signed_request import error_code, post, response_excerpt, storable
from webhooks.health import PROBE_AFTER
from webhooks.models import Endpoint

TEST = "webhook.test"
_WAITS = Waits(
    lambda: TooManyWaits(
        "too_many_tests", "Other test events are still waiting for their endpoints. Try again."
    ),
    in_all=4,
    per_workspace=2,
)


@dataclass(frozen=True, slots=True)
class SentTestEvent:
    """The result of a test event.

    `error` and `message` are as in an attempt, "" for success; `response` is the start of the
    response body.
    """

    event_id: str
    type: str
    succeeded: bool
    status_code: int | None
    error: str
    message: str
    latency_ms: int
    response: str


def send_test_event(endpoint: Endpoint, type_name: str = TEST) -> SentTestEvent:
    """Send an example event of this type and block until the endpoint responds.

    Disabled endpoints get it too, to find out whether they are fixed. After a success, a
    half-open endpoint is probed immediately. Raises ValidationFailed for an unknown type, and
    TooManyWaits when too many test events are waiting already.
    """
    kind = CATALOGUE.get(type_name)
    if kind is None:
        raise ValidationFailed({"type": f"`{type_name}` is not an event type"})
    event_id, body = _example(endpoint, kind)
    with _WAITS.wait(endpoint.workspace_id):
        outcome = asyncio.run(_post(endpoint, event_id, body))
    if outcome.succeeded:
        _probe_now(endpoint)
    return SentTestEvent(
        event_id=event_id,
        type=type_name,
        succeeded=outcome.succeeded,
        status_code=outcome.status,
        error=error_code(outcome),
        message=storable(outcome.message),
        latency_ms=outcome.duration_ms,
        response=response_excerpt(outcome),
    )


async def _post(endpoint: Endpoint, event_id: str, body: str) -> Outcome:
    async with OutboundClient(outbound_policy(), limit=1) as client:
        return await post(
            client, endpoint, event_id=event_id, body=body, attempt=1, at=timezone.now()
        )


def _example(endpoint: Endpoint, kind: EventType) -> tuple[str, str]:
    """A new event id, and the body with that id."""
    data = kind.example_data()
    if kind.name == TEST:
        data["webhook_id"] = str(endpoint.pk)
    event_id = f"whd_{uuid7()}"
    body = serialize(kind.envelope, kind.name, event_id=event_id, at=timezone.now(), data=data)
    return event_id, body


def _probe_now(endpoint: Endpoint) -> None:
    half_open = Endpoint.objects.filter(pk=endpoint.pk, failures_in_a_row__gte=PROBE_AFTER)
    with transaction.atomic():
        if half_open.update(probe_at=Now()):
            wake(queues.DELIVER.task)
