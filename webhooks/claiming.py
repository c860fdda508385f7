"""Taking due deliveries by turns between endpoints, each with what its request needs."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from core.work import Settlement
from events.models import Event
from webhooks.models import Delivery, Endpoint

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
    request_id: str
    body: str
    url: str
    number: int


def claim(limit: int) -> list[Job]:
    """Lease up to `limit` deliveries, at most an endpoint's share of requests in flight.

    Nothing is due, or may be sent now, when the list is empty.
    """
    while leased := _lease(limit):
        _give_up([delivery for delivery in leased if delivery.is_exhausted])
        if jobs := _jobs([delivery for delivery in leased if not delivery.is_exhausted]):
            return jobs
    return []


def lease_time() -> timedelta:
    """Longer than a request and the writing of its result can take."""
    return timedelta(seconds=settings.WEBHOOK_TIMEOUT * 2 + 30)


def _give_up(deliveries: list[Delivery]) -> None:
    """A delivery over which the dispatcher died time and again is not tried any more."""
    failed = {"status": Delivery.Status.FAILED.value, "last_error": "dispatcher_died"}
    Delivery.objects.settle([Settlement(delivery, changes=failed) for delivery in deliveries])


def _jobs(deliveries: list[Delivery]) -> list[Job]:
    events = Event.objects.only("body", "request_id").in_bulk(
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
            lease=lease_time(),
            sets=sql.SQL("status = 'attempting'"),
        )


def _job(delivery: Delivery, endpoint: Endpoint, event: Event) -> Job:
    return Job(
        delivery=delivery,
        endpoint=endpoint,
        event_id=event.public_id,
        request_id=event.request_id,
        body=event.body,
        url=endpoint.url,
        number=delivery.attempts + 1,
    )
