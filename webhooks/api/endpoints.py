"""`/webhooks`: creating, listing, changing and deleting endpoints, and secret rotation."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AliasChoices, BaseModel, Field
from rest_framework.response import Response

from accounts import views
from accounts.authentication import ApiRequest
from accounts.idempotency import idempotent
from accounts.views import ApiView
from core.api.aliases import AliasedBody
from core.api.bodies import Text, parse
from core.api.http import uncached
from core.api.openapi import IDEMPOTENCY_KEY, PAGE, describe, list_of
from core.api.pagination import page
from core.times import iso
from webhooks import services
from webhooks.models import Endpoint, EndpointQuerySet

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
Headers = dict[str, str]
# Not strict: JSON has no UUID type.
Ids = Annotated[
    list[Annotated[UUID, Field(strict=False)]],
    Field(max_length=100),
    AfterValidator(lambda given: list(dict.fromkeys(given))),
]
RateLimit = Annotated[int, Field(ge=1, le=1000)]


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
    status: Literal["enabled", "disabled"] = "enabled"


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


class WebhookDeleted(BaseModel):
    object: Literal["webhook"] = "webhook"
    id: str
    deleted: Literal[True] = True


class WebhooksView(ApiView):
    @describe(
        "Create a webhook",
        request=CreateWebhook,
        response=WebhookCreated,
        status=201,
        parameters=[IDEMPOTENCY_KEY],
        tag="Webhooks",
    )
    def post(self, request: ApiRequest) -> Response:
        return uncached(idempotent(request, "POST /webhooks", lambda: self._create(request)))

    @describe("List webhooks", response=list_of(WebhookOut), parameters=PAGE, tag="Webhooks")
    def get(self, request: ApiRequest) -> Response:
        rows = visible(request).defer("encrypted_keyring", "encrypted_headers")
        return Response(page(request, rows, webhook_out))

    def _create(self, request: ApiRequest) -> Response:
        body = parse(CreateWebhook, request.data)
        with CreateWebhook.in_words_of(request.data):
            endpoint, secret = services.create_endpoint(
                workspace=request.auth.workspace, **body.model_dump()
            )
        return Response(webhook_out(endpoint) | {"signing_secret": secret}, status=201)


class WebhookView(ApiView):
    @describe("Get a webhook", response=WebhookOut, tag="Webhooks")
    def get(self, request: ApiRequest, webhook_id: str) -> Response:
        return Response(webhook_out(find(request, webhook_id)))

    @describe("Change a webhook", request=UpdateWebhook, response=WebhookChanged, tag="Webhooks")
    def patch(self, request: ApiRequest, webhook_id: str) -> Response:
        before = find(request, webhook_id)
        changes = parse(UpdateWebhook, request.data).model_dump(
            exclude_unset=True, exclude={"webhook_id"}
        )
        with UpdateWebhook.in_words_of(request.data):
            after = services.update_endpoint(before, changes)
        was_enabled = before.status != after.status == Endpoint.Status.ENABLED
        since = before.missed_since if was_enabled else None
        return Response(webhook_out(after) | {"recover_since": iso(since)})

    @describe("Delete a webhook", response=WebhookDeleted, tag="Webhooks")
    def delete(self, request: ApiRequest, webhook_id: str) -> Response:
        endpoint = find(request, webhook_id)
        services.delete_endpoint(endpoint)
        return Response(WebhookDeleted(id=str(endpoint.pk)).model_dump())


class RotateSecretView(ApiView):
    @describe(
        "Rotate a signing secret",
        response=SecretRotated,
        parameters=[IDEMPOTENCY_KEY],
        tag="Webhooks",
    )
    def post(self, request: ApiRequest, webhook_id: str) -> Response:
        endpoint = find(request, webhook_id)
        route = f"POST /webhooks/{endpoint.pk}/signing-secret/rotate"
        return uncached(idempotent(request, route, lambda: self._rotate(endpoint)))

    def _rotate(self, endpoint: Endpoint) -> Response:
        endpoint, keyring = services.rotate_secret(endpoint)
        rotated = SecretRotated(
            id=str(endpoint.pk),
            signing_secret=keyring.newest.secret,
            public_key=endpoint.public_key or None,
            previous_secret_expires_at=iso(keyring.previous_ends_at),
        )
        return Response(rotated.model_dump())


def visible(request: ApiRequest) -> EndpointQuerySet:
    """The caller's endpoints. All views select endpoints through this function."""
    return Endpoint.objects.for_workspace(request.auth.workspace)


def find(request: ApiRequest, webhook_id: str) -> Endpoint:
    return views.find(visible(request), webhook_id, "webhook")


def webhook_out(endpoint: Endpoint) -> dict[str, Any]:
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
    ).model_dump()
