"""Taking due deliveries by turns between endpoints, each with what its request needs."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from core import crypto
from events.models import Event
from webhooks.models import Delivery, Endpoint
from webhooks.signing import key_of

PROBED_FROM = 5  # timeouts in a row

_LOCK = 0x6F70656E77686B  # "openwhk": one claim at a time, so that shares are counted right
_SHARE = sql.SQL(
    "(SELECT CASE WHEN status <> 'enabled' THEN 0"
    " WHEN timeouts_in_a_row >= {probed} THEN 1 ELSE {share} END"
    " FROM webhook_endpoints WHERE id = heads.key)"
    " - (SELECT count(*) FROM webhook_deliveries AS flying WHERE flying.endpoint_id = heads.key"
    " AND flying.status = 'attempting' AND flying.next_attempt_at > now())"
)


@dataclass(frozen=True, slots=True)
class Job:
    delivery: Delivery
    endpoint: Endpoint
    event_id: str
    event_type: str
    request_id: str
    body: str
    url: str
    secret: str
    key: bytes
    number: int


def claim(limit: int) -> list[Job]:
    """Lease up to `limit` deliveries, at most an endpoint's share of requests in flight."""
    deliveries = _lease(limit)
    if not deliveries:
        return []
    events = Event.objects.only("type", "body", "request_id").in_bulk(
        [delivery.event_id for delivery in deliveries]
    )
    endpoints = Endpoint.objects.in_bulk({delivery.endpoint_id for delivery in deliveries})
    return [
        _job(delivery, endpoints[delivery.endpoint_id], events[delivery.event_id])
        for delivery in deliveries
        # Deleted since the claim: the delivery went with it.
        if delivery.endpoint_id in endpoints and delivery.event_id in events
    ]


def _lease(limit: int) -> list[Delivery]:
    share = _SHARE.format(
        probed=sql.Literal(PROBED_FROM), share=sql.Literal(settings.WEBHOOK_PER_ENDPOINT)
    )
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        return Delivery.objects.claim_fairly(
            limit=limit,
            key="endpoint_id",
            per_key=share,
            lease=timedelta(seconds=settings.WEBHOOK_TIMEOUT * 2 + 30),
            sets=sql.SQL("status = 'attempting'"),
        )


def _job(delivery: Delivery, endpoint: Endpoint, event: Event) -> Job:
    secret, key = _opened(endpoint.encrypted_secret)
    return Job(
        delivery=delivery,
        endpoint=endpoint,
        event_id=event.public_id,
        event_type=event.type,
        request_id=event.request_id,
        body=event.body,
        url=endpoint.url,
        secret=secret,
        key=key,
        number=delivery.attempts + 1,
    )


@lru_cache(maxsize=10_000)
def _opened(encrypted: str) -> tuple[str, bytes]:
    secret = crypto.decrypt(encrypted)
    return secret, key_of(secret)
