"""`/webhooks`: endpoints."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field
from rest_framework.response import Response

from accounts import resources
from accounts.authentication import ApiRequest
from accounts.idempotency import idempotent
from accounts.resources import ApiView
from core.openapi import IDEMPOTENCY_KEY, PAGE, describe, list_of
from core.pagination import page
from core.schemas import RequestBody, Text, parse
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


class CreateWebhook(RequestBody):
    """`url` is another name for `endpoint`, `event_types` for `events`."""

    url: Url
    event_types: EventTypes
    description: Description = ""


class UpdateWebhook(RequestBody):
    """What isn't named stays as it is. `webhook_id` is the path's, and not looked at."""

    # Resend's Python client sends all it was given.
    webhook_id: Text = Field(default="", max_length=100)
    url: Url = ""
    event_types: EventTypes = []
    description: Description = ""
    status: Literal["enabled", "disabled"] = "enabled"


class WebhookOut(BaseModel):
    object: Literal["webhook"] = "webhook"
    id: str
    endpoint: str
    events: list[str]
    status: str
    disabled_reason: str | None
    description: str
    created_at: str


class WebhookCreated(WebhookOut):
    signing_secret: str


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
        return idempotent(request, "POST /webhooks", lambda: self._create(request))

    @describe("List webhooks", response=list_of(WebhookOut), parameters=PAGE, tag="Webhooks")
    def get(self, request: ApiRequest) -> Response:
        return Response(page(request, visible(request), shown))

    def _create(self, request: ApiRequest) -> Response:
        wanted = parse(CreateWebhook, request.data)
        endpoint, secret = services.create_endpoint(
            workspace=request.auth.workspace, **wanted.model_dump()
        )
        return Response(shown(endpoint) | {"signing_secret": secret}, status=201)


class WebhookView(ApiView):
    @describe("Get a webhook", response=WebhookOut, tag="Webhooks")
    def get(self, request: ApiRequest, webhook_id: str) -> Response:
        return Response(shown(find(request, webhook_id)))

    @describe("Change a webhook", request=UpdateWebhook, response=WebhookOut, tag="Webhooks")
    def patch(self, request: ApiRequest, webhook_id: str) -> Response:
        endpoint = find(request, webhook_id)
        changes = parse(UpdateWebhook, request.data).model_dump(
            exclude_unset=True, exclude={"webhook_id"}
        )
        return Response(shown(services.update_endpoint(endpoint, changes)))

    @describe("Delete a webhook", response=WebhookDeleted, tag="Webhooks")
    def delete(self, request: ApiRequest, webhook_id: str) -> Response:
        endpoint = find(request, webhook_id)
        services.delete_endpoint(endpoint)
        return Response(WebhookDeleted(id=str(endpoint.pk)).model_dump())


def visible(request: ApiRequest) -> EndpointQuerySet:
    """The only way this API reaches endpoints: those of the caller's workspace."""
    return Endpoint.objects.for_workspace(request.auth.workspace)


def find(request: ApiRequest, webhook_id: str) -> Endpoint:
    return resources.find(visible(request), webhook_id, "webhook")


def shown(endpoint: Endpoint) -> dict[str, Any]:
    return WebhookOut(
        id=str(endpoint.pk),
        endpoint=endpoint.url,
        events=endpoint.event_types,
        status=endpoint.status,
        disabled_reason=endpoint.disabled_reason or None,
        description=endpoint.description,
        created_at=iso(endpoint.created_at),
    ).model_dump()
