"""`/webhooks/{id}/...`: deliveries and their attempts, replay, recovery and test events."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from pydantic import BaseModel, BeforeValidator
from rest_framework.response import Response

from accounts import views
from accounts.authentication import ApiRequest
from accounts.idempotency import idempotent
from accounts.views import ApiView
from core.api.bodies import RequestBody, Text, parse
from core.api.openapi import IDEMPOTENCY_KEY, PAGE, describe, list_of
from core.api.pagination import page
from core.errors import NotFound, ValidationFailed
from core.times import from_iso, iso
from webhooks import replay
from webhooks.api.endpoints import find
from webhooks.models import Attempt, Delivery, Endpoint, Recovery
from webhooks.send_test import TEST, send_test_event

_PREFIX = "whd_"
# Statuses with an index. Filtering by `success` would scan all deliveries of an endpoint.
_STATUSES = {
    "pending": Q(status=Delivery.Status.PENDING, next_attempt_at__isnull=False),
    "attempting": Q(status=Delivery.Status.ATTEMPTING),
    "failed": Q(status=Delivery.Status.FAILED) & ~Q(last_error=""),
}


def _parse_time(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be text: a time in ISO 8601, like 2026-05-10T00:00:00Z")
    return from_iso(value)


IsoTime = Annotated[datetime, BeforeValidator(_parse_time)]


class WebhookEventOut(BaseModel):
    """`id` is the event's id, as in the body and the headers. `status` is pending, attempting,
    success or failed; `next_attempt_at` is null for the last two. `last_status_code` and
    `last_error` are those of the last attempt."""

    object: Literal["webhook_event"] = "webhook_event"
    id: str
    type: str
    status: str
    attempts: int
    last_status_code: int | None
    last_error: str | None
    next_attempt_at: str | None
    created_at: str


class WebhookEventDetail(WebhookEventOut):
    """`payload` is the body of every request for this event."""

    payload: dict[str, Any]


class WebhookAttemptOut(BaseModel):
    """`error` is null for a success, `http_<status>` for any response other than 2xx, otherwise
    the reason why there was no response. `response` is the start of the response body."""

    object: Literal["webhook_attempt"] = "webhook_attempt"
    id: str
    number: int
    http_status_code: int | None
    error: str | None
    message: str
    response: str
    address: str | None
    duration_ms: int
    sent_at: str


class RecoverWebhook(RequestBody):
    """Events from `since` (inclusive) to `until` (exclusive, by default now). `failed` sends
    failed and missed events, `all` also those that succeeded."""

    since: IsoTime
    until: IsoTime | None = None
    only: Literal["failed", "all"] = "failed"


class RecoveryOut(BaseModel):
    """`status` is pending, done or failed; `error` says why it failed. `recovered` is the number
    of events sent again."""

    object: Literal["webhook_recovery"] = "webhook_recovery"
    id: str
    webhook_id: str
    since: str
    until: str
    only: Literal["failed", "all"]
    status: str
    recovered: int
    error: str | None
    created_at: str


class SendTestEvent(RequestBody):
    """`type` is the event type to send an example of."""

    type: Text = TEST


class TestEventSent(BaseModel):
    """`error`, `message` and `response` are as in an attempt."""

    object: Literal["webhook_test"] = "webhook_test"
    id: str
    type: str
    succeeded: bool
    status_code: int | None
    error: str | None
    message: str
    latency_ms: int
    response: str


_EVENT_PAGE = [
    PAGE[0],
    *(
        OpenApiParameter(each.name, OpenApiTypes.STR, description=each.description)
        for each in PAGE[1:]
    ),
]
_STATUS = OpenApiParameter(
    "status", OpenApiTypes.STR, enum=list(_STATUSES), description="only events with this status"
)


class WebhookEventsView(ApiView):
    @describe(
        "List the events of a webhook",
        response=list_of(WebhookEventOut),
        parameters=[*_EVENT_PAGE, _STATUS],
        tag="Webhooks",
    )
    def get(self, request: ApiRequest, webhook_id: str) -> Response:
        rows = _with_types(_deliveries(find(request, webhook_id)))
        status = request.query_params.get("status")
        if status is None:
            return self._page(rows)
        if status not in _STATUSES:
            raise ValidationFailed({"status": f"must be one of {', '.join(_STATUSES)}"})
        rows = rows.filter(_STATUSES[status])
        if status == Delivery.Status.PENDING:
            # Ordering by the plain column would make the planner scan all deliveries, newest
            # first. Ordering by an expression makes it read the few unfinished ones.
            return self._page(rows.annotate(place=Coalesce("event_id", "event_id")), "place")
        return self._page(rows)

    def _page(self, rows: "QuerySet[Delivery]", column: str = "event_id") -> Response:
        return Response(page(self.request, rows, _event_out, column=column, prefix=_PREFIX))


class WebhookEventView(ApiView):
    @describe("Get an event of a webhook", response=WebhookEventDetail, tag="Webhooks")
    def get(self, request: ApiRequest, webhook_id: str, event_id: str) -> Response:
        rows = _deliveries(find(request, webhook_id)).select_related("event")
        delivery = _find_event(rows, event_id)
        return Response(_event_out(delivery) | {"payload": orjson.loads(delivery.event.body)})


class WebhookAttemptsView(ApiView):
    @describe(
        "List the attempts at an event of a webhook",
        response=list_of(WebhookAttemptOut),
        parameters=PAGE,
        tag="Webhooks",
    )
    def get(self, request: ApiRequest, webhook_id: str, event_id: str) -> Response:
        delivery = _find_event(_deliveries(find(request, webhook_id)), event_id)
        return Response(page(request, Attempt.objects.filter(delivery=delivery), _attempt_out))


class ReplayEventView(ApiView):
    @describe(
        "Replay an event of a webhook",
        response=WebhookEventOut,
        status=202,
        parameters=[IDEMPOTENCY_KEY],
        tag="Webhooks",
    )
    def post(self, request: ApiRequest, webhook_id: str, event_id: str) -> Response:
        endpoint = find(request, webhook_id)
        delivery = _find_event(_deliveries(endpoint), event_id)
        route = f"POST /webhooks/{endpoint.pk}/events/{delivery.event_id}/replay"
        return idempotent(request, route, lambda: self._replay(endpoint, delivery))

    def _replay(self, endpoint: Endpoint, delivery: Delivery) -> Response:
        replay.require_enabled(endpoint)
        replay.replay([delivery])
        replayed = _find_event(_with_types(_deliveries(endpoint)), str(delivery.event_id))
        return Response(_event_out(replayed), status=202)


class RecoverWebhookView(ApiView):
    @describe(
        "Recover the events of a webhook",
        request=RecoverWebhook,
        response=RecoveryOut,
        status=202,
        parameters=[IDEMPOTENCY_KEY],
        tag="Webhooks",
    )
    def post(self, request: ApiRequest, webhook_id: str) -> Response:
        endpoint = find(request, webhook_id)
        body = parse(RecoverWebhook, request.data)
        route = f"POST /webhooks/{endpoint.pk}/recover"
        return idempotent(request, route, lambda: self._recover(endpoint, body))

    def _recover(self, endpoint: Endpoint, body: RecoverWebhook) -> Response:
        recovery = replay.start_recovery(
            endpoint, since=body.since, until=body.until or timezone.now(), only=body.only
        )
        return Response(_recovery_out(recovery), status=202)


class RecoveriesView(ApiView):
    @describe(
        "List the recoveries of a webhook",
        response=list_of(RecoveryOut),
        parameters=PAGE,
        tag="Webhooks",
    )
    def get(self, request: ApiRequest, webhook_id: str) -> Response:
        rows = Recovery.objects.filter(endpoint=find(request, webhook_id))
        return Response(page(request, rows, _recovery_out))


class RecoveryView(ApiView):
    @describe("Get a recovery of a webhook", response=RecoveryOut, tag="Webhooks")
    def get(self, request: ApiRequest, webhook_id: str, recovery_id: str) -> Response:
        rows = Recovery.objects.filter(endpoint=find(request, webhook_id))
        return Response(_recovery_out(views.find(rows, recovery_id, "recovery")))


class SendTestEventView(ApiView):
    @describe("Test a webhook", request=SendTestEvent, response=TestEventSent, tag="Webhooks")
    def post(self, request: ApiRequest, webhook_id: str) -> Response:
        endpoint = find(request, webhook_id)
        sent = send_test_event(endpoint, parse(SendTestEvent, request.data).type)
        result = TestEventSent(
            id=sent.event_id,
            type=sent.type,
            succeeded=sent.succeeded,
            status_code=sent.status_code,
            error=sent.error or None,
            message=sent.message,
            latency_ms=sent.latency_ms,
            response=sent.response,
        )
        return Response(result.model_dump())


def _deliveries(endpoint: Endpoint) -> "QuerySet[Delivery]":
    return Delivery.objects.filter(endpoint=endpoint)


def _with_types(rows: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    """Join the events for their types, without loading the bodies."""
    return rows.select_related("event").defer("event__body")


def _find_event(rows: "QuerySet[Delivery]", event_id: str) -> Delivery:
    """The delivery of this event; the `whd_` prefix of the id is optional."""
    try:
        delivery = rows.filter(event=UUID(event_id.removeprefix(_PREFIX))).first()
    except ValueError:
        delivery = None
    if delivery is None:
        raise NotFound(f"This webhook has no event `{event_id}`.")
    return delivery


def _event_out(delivery: Delivery) -> dict[str, Any]:
    return WebhookEventOut(
        id=delivery.event.public_id,
        type=delivery.event.type,
        status=delivery.status,
        attempts=delivery.attempts,
        last_status_code=delivery.last_status_code,
        last_error=delivery.last_error or None,
        next_attempt_at=iso(delivery.next_attempt_at),
        created_at=iso(delivery.event.created_at),
    ).model_dump()


def _attempt_out(attempt: Attempt) -> dict[str, Any]:
    return WebhookAttemptOut(
        id=str(attempt.pk),
        number=attempt.number,
        http_status_code=attempt.status_code,
        error=attempt.error or None,
        message=attempt.message,
        response=attempt.response,
        address=attempt.address or None,
        duration_ms=attempt.duration_ms,
        sent_at=iso(attempt.at),
    ).model_dump()


def _recovery_out(recovery: Recovery) -> dict[str, Any]:
    return RecoveryOut(
        id=str(recovery.pk),
        webhook_id=str(recovery.endpoint_id),
        since=iso(recovery.since),
        until=iso(recovery.until),
        only=Recovery.Only(recovery.only).value,
        status=replay.status_of(recovery),
        recovered=recovery.recovered,
        error=recovery.last_error or None,
        created_at=iso(recovery.created_at),
    ).model_dump()
