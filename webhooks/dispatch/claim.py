"""Claiming due deliveries round-robin between endpoints, with the data for their requests."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from core.queue.wake import pass_on
from core.queue.work import Settlement
from events.models import Event
from webhooks import queues
from webhooks.health import PROBE_AFTER
from webhooks.models import Delivery, Endpoint

_LOCK = 0x6F70656E77686B  # "openwhk": serializes claims, so that in-flight counts are correct

# The tokens in an endpoint's bucket now. Its capacity is a tenth of the limit, so no second
# exceeds the limit by more than 10 %. clock_timestamp(), because now() is from before the wait
# for the lock.
_TOKENS = sql.SQL(
    "least(greatest(1, bucket.rate / 10.0),"
    " bucket.tokens + bucket.rate * extract(epoch FROM clock_timestamp() - bucket.filled_at))"
)
# least() ignores the null of an endpoint without a bucket.
_ROOM = sql.SQL(
    "least((SELECT CASE WHEN status <> 'enabled' THEN 0"
    " WHEN failures_in_a_row < {probe_after} THEN {share}"
    " WHEN probe_at > now() THEN 0 ELSE 1 END"
    " FROM webhook_endpoints WHERE id = heads.key)"
    " - (SELECT count(*) FROM webhook_deliveries AS sent WHERE sent.endpoint_id = heads.key"
    " AND sent.status = 'attempting' AND sent.next_attempt_at > now()),"
    " (SELECT floor({tokens}) FROM webhook_rate_limits AS bucket"
    "  WHERE bucket.endpoint_id = heads.key))"
)
_SPEND = sql.SQL(
    "UPDATE webhook_rate_limits AS bucket SET tokens = {tokens} - spent.count,"
    " filled_at = clock_timestamp() FROM unnest(%s::uuid[], %s::int[]) AS spent (id, count)"
    " WHERE bucket.endpoint_id = spent.id"
).format(tokens=_TOKENS)
_RATE_LIMITED = sql.SQL(
    "SELECT EXISTS (SELECT FROM webhook_rate_limits AS bucket"
    " JOIN webhook_endpoints AS endpoint ON endpoint.id = bucket.endpoint_id"
    " WHERE endpoint.status = 'enabled' AND endpoint.failures_in_a_row < {probe_after}"
    " AND EXISTS (SELECT FROM webhook_deliveries AS due WHERE due.endpoint_id = endpoint.id"
    " AND due.next_attempt_at <= now()))"
).format(probe_after=sql.Literal(PROBE_AFTER))


@dataclass(frozen=True, slots=True)
class Job:
    delivery: Delivery
    endpoint: Endpoint
    event_id: str
    request_id: str
    body: str
    number: int


def claim(limit: int, *, share: int) -> list[Job]:
    """Lease up to `limit` due deliveries, with at most `share` requests in flight per endpoint.

    A half-open endpoint gets one request at a time, a rate-limited one what its limit allows.
    An empty list means that nothing is due or may be sent now.
    """
    while True:
        leased, endpoints = _lease(limit, share)
        if not leased:
            return []
        _fail_poisoned([delivery for delivery in leased if delivery.is_poisoned])
        sendable = [delivery for delivery in leased if not delivery.is_poisoned]
        if jobs := _jobs(sendable, endpoints):
            return jobs


def is_rate_limited() -> bool:
    """Whether any due delivery waits only for its endpoint's rate limit."""
    with connection.cursor() as cursor:
        cursor.execute(_RATE_LIMITED)
        (exists,) = cursor.fetchone() or (False,)
    return bool(exists)


def lease_time() -> timedelta:
    """Longer than sending a request and recording its result can take."""
    return timedelta(seconds=settings.WEBHOOK_TIMEOUT * 2 + 30)


def _lease(limit: int, share: int) -> tuple[list[Delivery], Mapping[UUID, Endpoint]]:
    room = _ROOM.format(
        probe_after=sql.Literal(PROBE_AFTER), share=sql.Literal(share), tokens=_TOKENS
    )
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
        _spend_tokens(leased, endpoints)
    pass_on(queues.DELIVER.task, claimed=len(leased), limit=limit)
    return leased, endpoints


def _spend_tokens(leased: list[Delivery], endpoints: Mapping[UUID, Endpoint]) -> None:
    limited = {key for key, endpoint in endpoints.items() if endpoint.rate_limit is not None}
    spent = Counter(delivery.endpoint_id for delivery in leased if delivery.endpoint_id in limited)
    if spent:
        with connection.cursor() as cursor:
            cursor.execute(_SPEND, [list(spent), list(spent.values())])


def _fail_poisoned(deliveries: list[Delivery]) -> None:
    """Stop retrying deliveries during which the dispatcher crashed repeatedly."""
    failed = {"status": Delivery.Status.FAILED.value, "last_error": "dispatcher_died"}
    Delivery.objects.settle([Settlement(delivery, changes=failed) for delivery in deliveries])


def _jobs(deliveries: list[Delivery], endpoints: Mapping[UUID, Endpoint]) -> list[Job]:
    events = Event.objects.only("body", "request_id").in_bulk(
        [delivery.event_id for delivery in deliveries]
    )
    return [
        _job(delivery, endpoints[delivery.endpoint_id], events[delivery.event_id])
        for delivery in deliveries
        # A row deleted since the claim took its deliveries with it.
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
