"""`/api-keys`: bearer tokens, shown once."""

from accounts import services, views
from accounts.access import Access, Scope
from accounts.api.bodies import CreateApiKey, UpdateApiKey
from accounts.api.representations import ApiKeyCreated, ApiKeyDeleted, ApiKeyOut, represent
from accounts.models import ApiKey, ApiKeyQuerySet
from accounts.operation import operation
from accounts.views import ApiView
from core.api.dialects import Page


class ApiKeysView(ApiView):
    tag = "API keys"

    @operation(
        "Create an API key",
        needs=Scope.API_KEYS_WRITE,
        status=201,
        idempotent=True,
        no_store=True,
    )
    def post(self, access: Access, body: CreateApiKey) -> ApiKeyCreated:
        key, token = services.create_api_key(workspace=access.workspace, **body.model_dump())
        return ApiKeyCreated(id=str(key.pk), token=token)

    @operation("List API keys", needs=Scope.API_KEYS_READ)
    def get(self, access: Access) -> Page[ApiKeyOut]:
        return self.page(visible(access), represent)


class ApiKeyView(ApiView):
    tag = "API keys"

    @operation("Get an API key", needs=Scope.API_KEYS_READ)
    def get(self, access: Access, key_id: str) -> ApiKeyOut:
        return represent(find(access, key_id))

    @operation("Change an API key", needs=Scope.API_KEYS_WRITE)
    def patch(self, access: Access, body: UpdateApiKey, key_id: str) -> ApiKeyOut:
        key = find(access, key_id)
        return represent(services.update_api_key(key, body.model_dump(exclude_unset=True)))

    @operation("Revoke an API key", needs=Scope.API_KEYS_WRITE)
    def delete(self, access: Access, key_id: str) -> ApiKeyDeleted:
        key = find(access, key_id)
        services.revoke_api_key(key)
        return ApiKeyDeleted(id=str(key.pk))


def visible(access: Access) -> ApiKeyQuerySet:
    """The only way this API reaches keys: the live ones of the caller's workspace."""
    return ApiKey.objects.live().visible_to(access)


def find(access: Access, key_id: str) -> ApiKey:
    return views.find(visible(access), key_id, "API key")
