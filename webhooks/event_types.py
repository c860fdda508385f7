"""The payloads of webhook.*, which are about endpoints."""

from pydantic import Field

from events.catalogue import EventType
from events.payloads import Id, Payload, Time


class WebhookTest(Payload):
    """A test event."""

    webhook_id: Id = Field(description="The id of the tested endpoint.")
    message: str = Field(description="A human-readable message.")


class _FailingEndpoint(Payload):
    webhook_id: Id = Field(
        description="The id of the failing endpoint. The event is not sent to this endpoint itself."
    )
    endpoint: str = Field(description="The endpoint's URL.")
    failing_since: Time | None = Field(
        description="When the first failure since the last success happened, or null."
    )
    failures_in_a_row: int = Field(
        description="The number of consecutive requests without a response or with a 429 or 5xx."
    )


class WebhookFailing(_FailingEndpoint):
    """A failing endpoint, and when it will be disabled."""

    last_error: str = Field(description="The error of the last request, such as `http_500`.")
    last_status_code: int | None = Field(
        description="The HTTP status of the last request, or null without a response."
    )
    disabled_from: Time = Field(
        description="When the endpoint will be disabled unless a request succeeds before then."
    )


class WebhookDisabled(_FailingEndpoint):
    """An endpoint that was disabled and gets no more events."""

    reason: str = Field(description="Why the endpoint was disabled, as human-readable text.")


EVENT_TYPES = [
    EventType("webhook.test", "webhooks", "A test event that a user requested.", WebhookTest),
    EventType(
        "webhook.failing", "webhooks", "An endpoint has been failing for a day.", WebhookFailing
    ),
    EventType("webhook.disabled", "webhooks", "An endpoint was disabled.", WebhookDisabled),
]
