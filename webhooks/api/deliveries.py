"""`/webhooks/{id}/...`: deliveries and their attempts, replay, recovery and test events."""

from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from accounts import views
from accounts.access import Access, Scope
from accounts.operation import operation
from accounts.views import ApiView
from core.api.dialects import ROOT, Page
from core.errors import NotFound, ValidationFailed
from webhooks import replay
from webhooks.api.bodies import RecoverWebhook, SendTestEvent
from webhooks.api.endpoints import find
from webhooks.api.representations import (
    RecoveryOut,
    TestEventSent,
    WebhookAttemptOut,
    WebhookEventDetail,
    WebhookEventOut,
    represent_attempt,
    represent_event,
    represent_event_with_payload,
    represent_recovery,
    represent_test,
)
from webhooks.models import Attempt, Delivery, Endpoint, Recovery
from webhooks.send_test import send_test_event

_PREFIX = "whd_"
# Statuses with an index. Filtering by `success` would scan all deliveries of an endpoint.
_STATUSES = {
    "pending": Q(status=Delivery.Status.PENDING, next_attempt_at__isnull=False),
    "attempting": Q(status=Delivery.Status.ATTEMPTING),
    "failed": Q(status=Delivery.Status.FAILED) & ~Q(last_error=""),
}
# Cursors are ids of events, which have a prefix and so are no UUIDs.
_CURSORS = [
    OpenApiParameter(each.name, OpenApiTypes.STR, description=each.description)
    for each in ROOT.page_parameters
    if each.name in ("after", "before")
]
_STATUS = OpenApiParameter(
    "status", OpenApiTypes.STR, enum=list(_STATUSES), description="only events with this status"
)


class WebhookEventsView(ApiView):
    tag = "Webhooks"

    @operation(
        "List the events of a webhook",
        needs=Scope.WEBHOOKS_READ,
        parameters=[*_CURSORS, _STATUS],
    )
    def get(self, access: Access, webhook_id: str) -> Page[WebhookEventOut]:
        rows = _with_types(_deliveries(find(access, webhook_id)))
        status = self.request.query_params.get("status")
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

    def _page(self, rows: "QuerySet[Delivery]", column: str = "event_id") -> Page[WebhookEventOut]:
        return self.page(rows, represent_event, column=column, prefix=_PREFIX)


class WebhookEventView(ApiView):
    tag = "Webhooks"

    @operation("Get an event of a webhook", needs=Scope.WEBHOOKS_READ)
    def get(self, access: Access, webhook_id: str, event_id: str) -> WebhookEventDetail:
        rows = _deliveries(find(access, webhook_id)).select_related("event")
        return represent_event_with_payload(_find_event(rows, event_id))


class WebhookAttemptsView(ApiView):
    tag = "Webhooks"

    @operation("List the attempts at an event of a webhook", needs=Scope.WEBHOOKS_READ)
    def get(self, access: Access, webhook_id: str, event_id: str) -> Page[WebhookAttemptOut]:
        delivery = _find_event(_deliveries(find(access, webhook_id)), event_id)
        return self.page(Attempt.objects.filter(delivery=delivery), represent_attempt)


class ReplayEventView(ApiView):
    tag = "Webhooks"

    @operation(
        "Replay an event of a webhook", needs=Scope.WEBHOOKS_WRITE, status=202, idempotent=True
    )
    def post(self, access: Access, webhook_id: str, event_id: str) -> WebhookEventOut:
        endpoint = find(access, webhook_id)
        delivery = _find_event(_deliveries(endpoint), event_id)
        replay.require_enabled(endpoint)
        replay.replay([delivery])
        replayed = _find_event(_with_types(_deliveries(endpoint)), str(delivery.event_id))
        return represent_event(replayed)


class RecoverWebhookView(ApiView):
    tag = "Webhooks"

    @operation(
        "Recover the events of a webhook", needs=Scope.WEBHOOKS_WRITE, status=202, idempotent=True
    )
    def post(self, access: Access, body: RecoverWebhook, webhook_id: str) -> RecoveryOut:
        recovery = replay.start_recovery(
            find(access, webhook_id),
            since=body.since,
            until=body.until or timezone.now(),
            only=body.only,
        )
        return represent_recovery(recovery)


class RecoveriesView(ApiView):
    tag = "Webhooks"

    @operation("List the recoveries of a webhook", needs=Scope.WEBHOOKS_READ)
    def get(self, access: Access, webhook_id: str) -> Page[RecoveryOut]:
        return self.page(_recoveries(find(access, webhook_id)), represent_recovery)


class RecoveryView(ApiView):
    tag = "Webhooks"

    @operation("Get a recovery of a webhook", needs=Scope.WEBHOOKS_READ)
    def get(self, access: Access, webhook_id: str, recovery_id: str) -> RecoveryOut:
        rows = _recoveries(find(access, webhook_id))
        return represent_recovery(views.find(rows, recovery_id, "recovery"))


class SendTestEventView(ApiView):
    tag = "Webhooks"

    @operation("Test a webhook", needs=Scope.WEBHOOKS_WRITE)
    def post(self, access: Access, body: SendTestEvent, webhook_id: str) -> TestEventSent:
        return represent_test(send_test_event(find(access, webhook_id), body.type))


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


def _recoveries(endpoint: Endpoint) -> "QuerySet[Recovery]":
    return Recovery.objects.filter(endpoint=endpoint)
