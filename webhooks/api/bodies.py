"""Request bodies of `/webhooks`."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from core.api.aliases import AliasedBody
from core.api.bodies import RequestBody, Text
from core.api.fields import HEADER_MAP, HeaderValue, Ids, Time
from webhooks.send_test import TEST

Url = Annotated[
    Text,
    Field(min_length=1, max_length=2048, validation_alias=AliasChoices("endpoint", "url")),
]
EventTypes = Annotated[
    list[str],
    Field(min_length=1, max_length=50, validation_alias=AliasChoices("events", "event_types")),
]
Description = Annotated[Text, Field(max_length=500)]
# Write-only: values can be secrets. Validated by webhooks.dispatch.custom_headers.
Headers = Annotated[dict[str, HeaderValue], HEADER_MAP]
RateLimit = Annotated[int, Field(ge=1, le=1000)]
Status = Literal["enabled", "disabled"]


class CreateWebhook(AliasedBody):
    """`headers` are sent with every request. `domain_ids`, `pod_ids` and `inbox_ids` limit the
    endpoint to events about these. `rate_limit` is in requests per second. `ed25519` adds v1a
    signatures, which `public_key` verifies.
    """

    url: Url
    event_types: EventTypes
    description: Description = ""
    headers: Headers = {}
    domain_ids: Ids = []
    pod_ids: Ids = []
    inbox_ids: Ids = []
    rate_limit: RateLimit | None = None
    ed25519: bool = False
    # Resend's .NET client always sends one.
    status: Status = "enabled"


class UpdateWebhook(AliasedBody):
    """Omitted fields stay as they are; `headers` and lists are replaced as a whole.

    `webhook_id` is ignored: the path has the id.
    """

    # Resend's Python client sends the id in the body as well.
    webhook_id: Text = Field(default="", max_length=100)
    url: Url = ""
    event_types: EventTypes = []
    description: Description = ""
    headers: Headers = {}
    domain_ids: Ids = []
    pod_ids: Ids = []
    inbox_ids: Ids = []
    rate_limit: RateLimit | None = None
    ed25519: bool = False
    status: Status = "enabled"


class RecoverWebhook(RequestBody):
    """Events from `since` (inclusive) to `until` (exclusive, by default now). `failed` sends
    failed and missed events, `all` also those that succeeded."""

    since: Time
    until: Time | None = None
    only: Literal["failed", "all"] = "failed"


class SendTestEvent(RequestBody):
    """`type` is the event type to send an example of."""

    type: Text = TEST
