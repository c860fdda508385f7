"""`/api-keys`: bearer tokens, shown once."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from rest_framework.response import Response

from accounts import services, views
from accounts.authentication import ApiRequest
from accounts.idempotency import idempotent
from accounts.models import ApiKey, ApiKeyQuerySet
from accounts.views import ApiView
from core.api.bodies import RequestBody, Text, parse
from core.api.http import uncached
from core.api.openapi import IDEMPOTENCY_KEY, PAGE, describe, list_of
from core.api.pagination import page
from core.times import iso

Name = Annotated[Text, Field(min_length=1, max_length=200)]
Permission = Literal["full_access", "sending_access"]
DomainId = Annotated[UUID, Field(strict=False)]


class CreateApiKey(RequestBody):
    """`domain_id` lets a key with `sending_access` send from this domain only."""

    name: Name
    permission: Permission = "full_access"
    domain_id: DomainId | None = None


class UpdateApiKey(RequestBody):
    """What isn't named stays as it is. Of keys with `full_access` the `domain_id` is null."""

    name: Name = ""
    permission: Permission = "full_access"
    domain_id: DomainId | None = None


class ApiKeyCreated(BaseModel):
    object: Literal["api_key"] = "api_key"
    id: str
    token: str


class ApiKeyOut(BaseModel):
    object: Literal["api_key"] = "api_key"
    id: str
    name: str
    prefix: str
    permission: str
    domain_id: str | None
    created_at: str
    last_used_at: str | None


class ApiKeyDeleted(BaseModel):
    object: Literal["api_key"] = "api_key"
    id: str
    deleted: Literal[True] = True


class ApiKeysView(ApiView):
    @describe(
        "Create an API key",
        request=CreateApiKey,
        response=ApiKeyCreated,
        status=201,
        parameters=[IDEMPOTENCY_KEY],
        tag="API keys",
    )
    def post(self, request: ApiRequest) -> Response:
        return uncached(idempotent(request, "POST /api-keys", lambda: self._create(request)))

    @describe("List API keys", response=list_of(ApiKeyOut), parameters=PAGE, tag="API keys")
    def get(self, request: ApiRequest) -> Response:
        return Response(page(request, visible(request), shown))

    def _create(self, request: ApiRequest) -> Response:
        wanted = parse(CreateApiKey, request.data)
        key, token = services.create_api_key(
            workspace=request.auth.workspace, **wanted.model_dump()
        )
        return Response(ApiKeyCreated(id=str(key.pk), token=token).model_dump(), status=201)


class ApiKeyView(ApiView):
    @describe("Get an API key", response=ApiKeyOut, tag="API keys")
    def get(self, request: ApiRequest, key_id: str) -> Response:
        return Response(shown(find(request, key_id)))

    @describe("Change an API key", request=UpdateApiKey, response=ApiKeyOut, tag="API keys")
    def patch(self, request: ApiRequest, key_id: str) -> Response:
        key = find(request, key_id)
        changes = parse(UpdateApiKey, request.data).model_dump(exclude_unset=True)
        return Response(shown(services.update_api_key(key, changes)))

    @describe("Revoke an API key", response=ApiKeyDeleted, tag="API keys")
    def delete(self, request: ApiRequest, key_id: str) -> Response:
        key = find(request, key_id)
        services.revoke_api_key(key)
        return Response(ApiKeyDeleted(id=str(key.pk)).model_dump())


def visible(request: ApiRequest) -> ApiKeyQuerySet:
    """The only way this API reaches keys: the live ones of the caller's workspace."""
    return ApiKey.objects.live().for_workspace(request.auth.workspace)


def find(request: ApiRequest, key_id: str) -> ApiKey:
    return views.find(visible(request), key_id, "API key")


def shown(key: ApiKey) -> dict[str, object]:
    return ApiKeyOut(
        id=str(key.pk),
        name=key.name,
        prefix=key.prefix,
        permission=key.permission,
        domain_id=str(key.domain_id) if key.domain_id else None,
        created_at=iso(key.created_at),
        last_used_at=iso(key.last_used_at),
    ).model_dump()
