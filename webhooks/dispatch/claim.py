"""Taking due deliveries by turns between endpoints, each with what its request needs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from core.queue.work import Settlement
from events.models import Event
from webhooks.health import PROBED_FROM
from webhooks.models import Delivery, Endpoint

_LOCK = 0x6F70656E77686B  # "openwhk": one claim at a time, so that shares are counted right

# What is in an endpoint's bucket now. It holds a tenth of a second's worth, so that no second
# sees more than a tenth above the limit. clock_timestamp(), because now() is when this claim
# began to wait for its turn.
_TOKENS = sql.SQL(
    "least(greatest(1, bucket.rate / 10.0),"
    " bucket.tokens + bucket.rate * extract(epoch FROM clock_timestamp() - bucket.filled_at))"
)
# least() passes over the null of an endpoint that has no bucket.
_ROOM = sql.SQL(
    "least((SELECT CASE WHEN status <> 'enabled' THEN 0"
    " WHEN failures_in_a_row < {probed} THEN {share}"
    " WHEN probe_at > now() THEN 0 ELSE 1 END"
    " FROM webhook_endpoints WHERE id = heads.key)"
    " - (SELECT count(*) FROM webhook_deliveries AS flying WHERE flying.endpoint_id = heads.key"
    " AND flying.status = 'attempting' AND flying.next_attempt_at > now()),"
    " (SELECT floor({tokens}) FROM webhook_rate_limits AS bucket"
    "  WHERE bucket.endpoint_id = heads.key))"
)
_SPEND = sql.SQL(
    "UPDATE webhook_rate_limits AS bucket SET tokens = {tokens} - spent.count,"
    " filled_at = clock_timestamp() FROM unnest(%s::uuid[], %s::int[]) AS spent (id, count)"
    " WHERE bucket.endpoint_id = spent.id"
).format(tokens=_TOKENS)
_HELD_BACK = sql.SQL(
    "SELECT EXISTS (SELECT FROM webhook_rate_limits AS bucket"
    " JOIN webhook_endpoints AS endpoint ON endpoint.id = bucket.endpoint_id"
    " WHERE endpoint.status = 'enabled' AND endpoint.failures_in_a_row < {probed}"
    " AND EXISTS (SELECT FROM webhook_deliveries AS owed WHERE owed.endpoint_id = endpoint.id"
    " AND owed.next_attempt_at <= now()))"
).format(probed=sql.Literal(PROBED_FROM))


@dataclass(frozen=True, slots=True)
class Job:
    delivery: Delivery
    endpoint: Endpoint
    event_id: str
    request_id: str
    body: str
    number: int


def claim(limit: int, *, share: int) -> list[Job]:
    """Lease up to `limit` deliveries; an endpoint has at most `share` requests in flight.

    One that fails time and again has one, and one with a rate limit no more than that allows.
    Nothing is due, or may be sent now, when the list is empty.
    """
    while True:
        leased, endpoints = _lease(limit, share)
        if not leased:
            return []
        _give_up([delivery for delivery in leased if delivery.is_poisoned])
        alive = [delivery for delivery in leased if not delivery.is_poisoned]
        if jobs := _jobs(alive, endpoints):
            return jobs


def is_held_back() -> bool:
    """Whether something is due that only a rate limit keeps from being sent now."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD_BACK)
        (found,) = cursor.fetchone() or (False,)
    return bool(found)


def lease_time() -> timedelta:
    """Longer than a request and the writing of its result can take."""
    return timedelta(seconds=settings.WEBHOOK_TIMEOUT * 2 + 30)


def _lease(limit: int, share: int) -> tuple[list[Delivery], Mapping[UUID, Endpoint]]:
    room = _ROOM.format(probed=sql.Literal(PROBED_FROM), share=sql.Literal(share), tokens=_TOKENS)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        leased = Delivery.objects.claim_fairly(
            limit=limit,
            key="endpoint_id",
            per_key=room,
            lease=lease_time(),
            sets=sql.SQL("status = 'attempting'"),
        )
        endpoints = Endpoint.objects.in_bulk({delivery.endpoint_id for delivery in leased})
        _spend(leased, endpoints)
    return leased, endpoints


def _spend(leased: list[Delivery], endpoints: Mapping[UUID, Endpoint]) -> None:
    paced = {key for key, endpoint in endpoints.items() if endpoint.rate_limit is not None}
    spent = Counter(delivery.endpoint_id for delivery in leased if delivery.endpoint_id in paced)
    if spent:
        with connection.cursor() as cursor:
            cursor.execute(_SPEND, [list(spent), list(spent.values())])


def _give_up(deliveries: list[Delivery]) -> None:
    """A delivery over which the dispatcher died time and again is not tried any more."""
    failed = {"status": Delivery.Status.FAILED.value, "last_error": "dispatcher_died"}
    Delivery.objects.settle([Settlement(delivery, changes=failed) for delivery in deliveries])


def _jobs(deliveries: list[Delivery], endpoints: Mapping[UUID, Endpoint]) -> list[Job]:
    events = Event.objects.only("body", "request_id").in_bulk(
        [delivery.event_id for delivery in deliveries]
    )
    return [
        _job(delivery, endpoints[delivery.endpoint_id], events[delivery.event_id])
        for delivery in deliveries
        # Deleted since the claim: the delivery went with it.
        if delivery.endpoint_id in endpoints and delivery.event_id in events
    ]


def _job(delivery: Delivery, endpoint: Endpoint, event: Event) -> Job:
    return Job(
        delivery=delivery,
        endpoint=endpoint,
        event_id=event.public_id,
        request_id=event.request_id,
        body=event.body,
        number=delivery.attempts + 1,
    )
