"""`/webhooks`: creating, listing, changing and deleting endpoints, and secret rotation."""

from accounts import views
from accounts.access import Access, Scope
from accounts.operation import operation
from accounts.views import ApiView
from core.api.dialects import Page
from core.times import iso
from webhooks import services
from webhooks.api.bodies import CreateWebhook, UpdateWebhook
from webhooks.api.representations import (
    SecretRotated,
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookOut,
    represent,
    represent_rotation,
)
from webhooks.models import Endpoint, EndpointQuerySet


class WebhooksView(ApiView):
    tag = "Webhooks"

    @operation(
        "Create a webhook",
        needs=Scope.WEBHOOKS_WRITE,
        status=201,
        idempotent=True,
        no_store=True,
    )
    def post(self, access: Access, body: CreateWebhook) -> WebhookCreated:
        with CreateWebhook.with_given_names(self.request.data):
            endpoint, secret = services.create_endpoint(
                workspace=access.workspace, **body.model_dump()
            )
        return WebhookCreated(**represent(endpoint).model_dump(), signing_secret=secret)

    @operation("List webhooks", needs=Scope.WEBHOOKS_READ)
    def get(self, access: Access) -> Page[WebhookOut]:
        rows = visible(access).defer("encrypted_keyring", "encrypted_headers")
        return self.page(rows, represent)


class WebhookView(ApiView):
    tag = "Webhooks"

    @operation("Get a webhook", needs=Scope.WEBHOOKS_READ)
    def get(self, access: Access, webhook_id: str) -> WebhookOut:
        return represent(find(access, webhook_id))

    @operation("Change a webhook", needs=Scope.WEBHOOKS_WRITE)
    def patch(self, access: Access, body: UpdateWebhook, webhook_id: str) -> WebhookChanged:
        before = find(access, webhook_id)
        changes = body.model_dump(exclude_unset=True, exclude={"webhook_id"})
        with UpdateWebhook.with_given_names(self.request.data):
            after = services.update_endpoint(before, changes)
        was_enabled = before.status != after.status == Endpoint.Status.ENABLED
        since = before.missed_since if was_enabled else None
        return WebhookChanged(**represent(after).model_dump(), recover_since=iso(since))

    @operation("Delete a webhook", needs=Scope.WEBHOOKS_WRITE)
    def delete(self, access: Access, webhook_id: str) -> WebhookDeleted:
        endpoint = find(access, webhook_id)
        services.delete_endpoint(endpoint)
        return WebhookDeleted(id=str(endpoint.pk))


class RotateSecretView(ApiView):
    tag = "Webhooks"

    @operation(
        "Rotate a signing secret", needs=Scope.WEBHOOKS_WRITE, idempotent=True, no_store=True
    )
    def post(self, access: Access, webhook_id: str) -> SecretRotated:
        endpoint, keyring = services.rotate_secret(find(access, webhook_id))
        return represent_rotation(endpoint, keyring)


def visible(access: Access) -> EndpointQuerySet:
    """The caller's endpoints. All views select endpoints through this function."""
    return Endpoint.objects.visible_to(access)


def find(access: Access, webhook_id: str) -> Endpoint:
    return views.find(visible(access), webhook_id, "webhook")
