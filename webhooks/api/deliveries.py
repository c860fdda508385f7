"""`/webhooks/{id}/...`: what an endpoint was sent, sending it again, and samples."""

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
from webhooks.send_test import TEST, send_sample

_PREFIX = "whd_"
# Those that an index finds: any others are found by reading all that an endpoint ever got.
_STATUSES = {
    "pending": Q(status=Delivery.Status.PENDING, next_attempt_at__isnull=False),
    "attempting": Q(status=Delivery.Status.ATTEMPTING),
    "failed": Q(status=Delivery.Status.FAILED) & ~Q(last_error=""),
}


def _moment(given: Any) -> datetime:
    if not isinstance(given, str):
        raise ValueError("must be text: a time in ISO 8601, like 2026-05-10T00:00:00Z")
    return from_iso(given)


Moment = Annotated[datetime, BeforeValidator(_moment)]


class WebhookEventOut(BaseModel):
    """`id` is that of the body and its headers. `status` is pending, attempting, success or
    failed, and `next_attempt_at` null once it is one of the last two. `last_status_code` and
    `last_error` are of the last attempt."""

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
    """`payload` is the body that was, or will be, sent."""

    payload: dict[str, Any]


class WebhookAttemptOut(BaseModel):
    """`error` is null for a success, `http_500` and the like for an answer that was none, and
    else why there was no answer. `response` is the start of the answer's body."""

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
    """Events from `since` on and before `until`, which is now unless given. `failed` takes what
    failed and what was missed, `all` also what succeeded."""

    since: Moment
    until: Moment | None = None
    only: Literal["failed", "all"] = "failed"


class RecoveryOut(BaseModel):
    """`status` is pending, done or failed, which `error` explains; `recovered` counts the events
    that are sent again."""

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
    """The type of event to send an example of."""

    type: Text = TEST


class TestEventSent(BaseModel):
    """`error` and `response` are as an attempt has them."""

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
    "status", OpenApiTypes.STR, enum=list(_STATUSES), description="only those in this state"
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
            # The planner would look for these among all that was ever delivered, the newest
            # first. In the order of an expression it reads the few that are open.
            return self._page(rows.annotate(place=Coalesce("event_id", "event_id")), "place")
        return self._page(rows)

    def _page(self, rows: "QuerySet[Delivery]", column: str = "event_id") -> Response:
        return Response(page(self.request, rows, _shown, column=column, prefix=_PREFIX))


class WebhookEventView(ApiView):
    @describe("Get an event of a webhook", response=WebhookEventDetail, tag="Webhooks")
    def get(self, request: ApiRequest, webhook_id: str, event_id: str) -> Response:
        rows = _deliveries(find(request, webhook_id)).select_related("event")
        delivery = _find_event(rows, event_id)
        return Response(_shown(delivery) | {"payload": orjson.loads(delivery.event.body)})


class WebhookAttemptsView(ApiView):
    @describe(
        "List the attempts at an event of a webhook",
        response=list_of(WebhookAttemptOut),
        parameters=PAGE,
        tag="Webhooks",
    )
    def get(self, request: ApiRequest, webhook_id: str, event_id: str) -> Response:
        delivery = _find_event(_deliveries(find(request, webhook_id)), event_id)
        return Response(page(request, Attempt.objects.filter(delivery=delivery), _attempt_shown))


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
        again = _find_event(_with_types(_deliveries(endpoint)), str(delivery.event_id))
        return Response(_shown(again), status=202)


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
        wanted = parse(RecoverWebhook, request.data)
        route = f"POST /webhooks/{endpoint.pk}/recover"
        return idempotent(request, route, lambda: self._recover(endpoint, wanted))

    def _recover(self, endpoint: Endpoint, wanted: RecoverWebhook) -> Response:
        recovery = replay.start_recovery(
            endpoint, since=wanted.since, until=wanted.until or timezone.now(), only=wanted.only
        )
        return Response(_recovery_shown(recovery), status=202)


class RecoveriesView(ApiView):
    @describe(
        "List the recoveries of a webhook",
        response=list_of(RecoveryOut),
        parameters=PAGE,
        tag="Webhooks",
    )
    def get(self, request: ApiRequest, webhook_id: str) -> Response:
        rows = Recovery.objects.filter(endpoint=find(request, webhook_id))
        return Response(page(request, rows, _recovery_shown))


class RecoveryView(ApiView):
    @describe("Get a recovery of a webhook", response=RecoveryOut, tag="Webhooks")
    def get(self, request: ApiRequest, webhook_id: str, recovery_id: str) -> Response:
        rows = Recovery.objects.filter(endpoint=find(request, webhook_id))
        return Response(_recovery_shown(views.find(rows, recovery_id, "recovery")))


class SendTestEventView(ApiView):
    @describe("Test a webhook", request=SendTestEvent, response=TestEventSent, tag="Webhooks")
    def post(self, request: ApiRequest, webhook_id: str) -> Response:
        endpoint = find(request, webhook_id)
        sample = send_sample(endpoint, parse(SendTestEvent, request.data).type)
        tested = TestEventSent(
            id=sample.event_id,
            type=sample.type,
            succeeded=sample.succeeded,
            status_code=sample.status_code,
            error=sample.error or None,
            message=sample.message,
            latency_ms=sample.latency_ms,
            response=sample.response,
        )
        return Response(tested.model_dump())


def _deliveries(endpoint: Endpoint) -> "QuerySet[Delivery]":
    return Delivery.objects.filter(endpoint=endpoint)


def _with_types(rows: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    """With their events' types, and without the bodies."""
    return rows.select_related("event").defer("event__body")


def _find_event(rows: "QuerySet[Delivery]", given: str) -> Delivery:
    """The delivery of the event with this id, whose prefix may be missing."""
    try:
        found = rows.filter(event=UUID(given.removeprefix(_PREFIX))).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"There is no event `{given}` of this webhook.")
    return found


def _shown(delivery: Delivery) -> dict[str, Any]:
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


def _attempt_shown(attempt: Attempt) -> dict[str, Any]:
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


def _recovery_shown(recovery: Recovery) -> dict[str, Any]:
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
