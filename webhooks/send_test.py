"""A test event: one real, signed request, made at once and kept nowhere."""

import asyncio
from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from core.db.ids import uuid7
from core.errors import ValidationFailed
from core.outbound import OutboundClient, Outcome
from core.queue.wake import wake
from events.catalogue import CATALOGUE, EventType
from events.envelopes import sealed
from webhooks.dispatch.signed_request import post, printable, reason, shown
from webhooks.fanout import DELIVER
from webhooks.health import PROBED_FROM
from webhooks.models import Endpoint
from webhooks.outbound_policy import outbound_policy

TEST = "webhook.test"


@dataclass(frozen=True, slots=True)
class Sample:
    """What the endpoint made of it: `error` and `message` as an attempt has them, "" for
    success; `response` is the start of its answer's body."""

    event_id: str
    type: str
    succeeded: bool
    status_code: int | None
    error: str
    message: str
    latency_ms: int
    response: str


def send_sample(endpoint: Endpoint, type_name: str = TEST) -> Sample:
    """Send an example of that type; blocks for as long as the endpoint takes.

    Disabled endpoints get it too: so one learns whether they are mended. After a success, what
    waits for the next probe of a failing endpoint goes at once. ValidationFailed for an unknown
    type.
    """
    kind = CATALOGUE.get(type_name)
    if kind is None:
        raise ValidationFailed({"type": f"`{type_name}` is not an event type"})
    event_id, body = _example(endpoint, kind)
    outcome = asyncio.run(_post(endpoint, event_id, body))
    if outcome.succeeded:
        _probe_now(endpoint)
    return Sample(
        event_id=event_id,
        type=type_name,
        succeeded=outcome.succeeded,
        status_code=outcome.status,
        error=reason(outcome),
        message=printable(outcome.message),
        latency_ms=outcome.duration_ms,
        response=shown(outcome),
    )


async def _post(endpoint: Endpoint, event_id: str, body: str) -> Outcome:
    async with OutboundClient(outbound_policy(), limit=1) as client:
        return await post(
            client, endpoint, event_id=event_id, body=body, attempt=1, at=timezone.now()
        )


def _example(endpoint: Endpoint, kind: EventType) -> tuple[str, str]:
    """A new event's id, and its body."""
    data = kind.example_data()
    if kind.name == TEST:
        data["webhook_id"] = str(endpoint.pk)
    event_id = f"whd_{uuid7()}"
    body = sealed(kind.envelope, kind.name, event_id=event_id, at=timezone.now(), data=data)
    return event_id, body


def _probe_now(endpoint: Endpoint) -> None:
    probed = Endpoint.objects.filter(pk=endpoint.pk, failures_in_a_row__gte=PROBED_FROM)
    with transaction.atomic():
        if probed.update(probe_at=Now()):
            wake(DELIVER)
