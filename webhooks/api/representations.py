"""The JSON of endpoints, their events and attempts, recoveries, test events and event types."""

from typing import Any, Literal

import orjson
from pydantic import BaseModel, Field

from core.api.representations import Deleted
from core.times import iso
from events.catalogue import EventType
from webhooks import replay
from webhooks.dispatch.signing import Keyring
from webhooks.models import Attempt, Delivery, Endpoint, Recovery
from webhooks.send_test import SentTestEvent


class WebhookOut(BaseModel):
    object: Literal["webhook"] = "webhook"
    id: str
    endpoint: str
    events: list[str]
    status: str
    disabled_reason: str | None
    disabled_at: str | None
    failing_since: str | None
    description: str
    header_names: list[str]
    domain_ids: list[str]
    pod_ids: list[str]
    inbox_ids: list[str]
    rate_limit: int | None
    ed25519: bool
    public_key: str | None
    created_at: str


class WebhookCreated(WebhookOut):
    signing_secret: str


class WebhookChanged(WebhookOut):
    """`recover_since` is set when a disabled webhook is enabled: use it as `since` in
    `POST /webhooks/{id}/recover` to send the missed and failed events."""

    recover_since: str | None


class SecretRotated(BaseModel):
    """`previous_secret_expires_at` is when requests stop being signed with the previous secret."""

    object: Literal["webhook"] = "webhook"
    id: str
    signing_secret: str
    public_key: str | None
    previous_secret_expires_at: str


class WebhookDeleted(Deleted):
    object: Literal["webhook"] = "webhook"


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


class EventTypeOut(BaseModel):
    object: Literal["event_type"] = "event_type"
    type: str
    group: str = Field(description="The pattern that subscribes to all types of this group.")
    description: str
    emitted_by: str
    schema_: dict[str, Any] = Field(
        alias="schema",
        description="JSON Schema (2020-12) of the complete body; fields may be added later.",
    )
    example: dict[str, Any] = Field(description="A complete body.")


def represent(endpoint: Endpoint) -> WebhookOut:
    return WebhookOut(
        id=str(endpoint.pk),
        endpoint=endpoint.url,
        events=endpoint.event_types,
        status=endpoint.status,
        disabled_reason=endpoint.disabled_reason or None,
        disabled_at=iso(endpoint.disabled_at),
        failing_since=iso(endpoint.failing_since),
        description=endpoint.description,
        header_names=endpoint.header_names,
        domain_ids=[str(each) for each in endpoint.domain_ids],
        pod_ids=[str(each) for each in endpoint.pod_ids],
        inbox_ids=[str(each) for each in endpoint.inbox_ids],
        rate_limit=endpoint.rate_limit,
        ed25519=bool(endpoint.public_key),
        public_key=endpoint.public_key or None,
        created_at=iso(endpoint.created_at),
    )


def represent_rotation(endpoint: Endpoint, keyring: Keyring) -> SecretRotated:
    return SecretRotated(
        id=str(endpoint.pk),
        signing_secret=keyring.newest.secret,
        public_key=endpoint.public_key or None,
        previous_secret_expires_at=iso(keyring.previous_ends_at),
    )


def represent_event(delivery: Delivery) -> WebhookEventOut:
    return WebhookEventOut(
        id=delivery.event.public_id,
        type=delivery.event.type,
        status=delivery.status,
        attempts=delivery.attempts,
        last_status_code=delivery.last_status_code,
        last_error=delivery.last_error or None,
        next_attempt_at=iso(delivery.next_attempt_at),
        created_at=iso(delivery.event.created_at),
    )


def represent_event_with_payload(delivery: Delivery) -> WebhookEventDetail:
    return WebhookEventDetail(
        **represent_event(delivery).model_dump(), payload=orjson.loads(delivery.event.body)
    )


def represent_attempt(attempt: Attempt) -> WebhookAttemptOut:
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
    )


def represent_recovery(recovery: Recovery) -> RecoveryOut:
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
    )


def represent_test(sent: SentTestEvent) -> TestEventSent:
    return TestEventSent(
        id=sent.event_id,
        type=sent.type,
        succeeded=sent.succeeded,
        status_code=sent.status_code,
        error=sent.error or None,
        message=sent.message,
        latency_ms=sent.latency_ms,
        response=sent.response,
    )


def represent_event_type(kind: EventType) -> EventTypeOut:
    return EventTypeOut(
        type=kind.name,
        group=kind.group,
        description=kind.meaning,
        emitted_by=kind.emitted_by,
        schema=kind.schema,
        example=kind.example,
    )
