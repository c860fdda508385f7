"""webhook.*: about the endpoints themselves."""

from pydantic import Field

from events.payloads.base import Id, Payload, Time


class WebhookTest(Payload):
    """A sample that was asked for."""

    webhook_id: Id = Field(description="The endpoint that is tested.")
    message: str = Field(description="A sentence for people.")


class _Troubled(Payload):
    webhook_id: Id = Field(description="The endpoint that has the trouble; it isn't told itself.")
    endpoint: str = Field(description="The endpoint's URL.")
    failing_since: Time | None = Field(
        description="The first failure since the last success, or null when there was none before."
    )
    failures_in_a_row: int = Field(
        description="Requests in a row without an answer, or answered with 429 or 5xx."
    )


class WebhookFailing(_Troubled):
    """An endpoint fails, and what will come of it."""

    last_error: str = Field(description="How the last request ended, such as `http_500`.")
    last_status_code: int | None = Field(description="Its HTTP status, or null without an answer.")
    disabled_from: Time = Field(
        description="When the endpoint is switched off unless a request succeeds before."
    )


class WebhookDisabled(_Troubled):
    """An endpoint that gets nothing any more."""

    reason: str = Field(description="Why it was switched off, for people.")
