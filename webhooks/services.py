"""The verbs on endpoints."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Workspace
from core import crypto
from core.errors import ValidationFailed
from core.outbound import OutboundPolicy, UnsafeUrl, check_url
from core.wake import wake
from events.catalogue import is_subscribable
from webhooks.models import Delivery, Endpoint
from webhooks.signing import new_secret
from webhooks.subscribers import DELIVER


def policy() -> OutboundPolicy:
    return OutboundPolicy(
        allow_http=settings.WEBHOOK_ALLOW_HTTP,
        allowed_networks=tuple(settings.WEBHOOK_ALLOWED_NETWORKS),
    )


def create_endpoint(
    *, workspace: Workspace, url: str, event_types: list[str], description: str = ""
) -> tuple[Endpoint, str]:
    """A new endpoint and its signing secret, which is shown this once."""
    _check(url, event_types)
    secret = new_secret()
    endpoint = Endpoint.objects.create(
        workspace=workspace,
        url=url,
        event_types=event_types,
        description=description,
        encrypted_secret=crypto.encrypt(secret),
    )
    return endpoint, secret


def update_endpoint(endpoint: Endpoint, changes: dict[str, Any]) -> Endpoint:
    """Change `url`, `event_types`, `description` or `status`; what isn't named stays.

    Disabling fails what is still owed to the endpoint.
    """
    _check(changes.get("url"), changes.get("event_types"))
    if "status" in changes:
        changes = changes | {"timeouts_in_a_row": 0, "disabled_reason": ""}
    with transaction.atomic():
        for field, value in changes.items():
            setattr(endpoint, field, value)
        endpoint.save(update_fields=list(changes))
        if endpoint.status == Endpoint.Status.DISABLED:
            endpoint.deliveries.exclude(next_attempt_at=None).update(
                status=Delivery.Status.FAILED, next_attempt_at=None, last_error="endpoint_disabled"
            )
    return endpoint


def delete_endpoint(endpoint: Endpoint) -> None:
    """Remove the endpoint and what was owed to it."""
    # The database cascades: Django would load every delivery to delete it.
    Endpoint.objects.filter(pk=endpoint.pk)._raw_delete("default")


def deliver_now(deliveries: "list[Delivery]") -> int:
    """Try open deliveries at once instead of at their planned time; how many there were."""
    waiting = Delivery.objects.filter(
        pk__in=[delivery.pk for delivery in deliveries], status=Delivery.Status.PENDING
    )
    with transaction.atomic():
        hurried = waiting.update(next_attempt_at=Now())
        wake(DELIVER)
    return hurried


def _check(url: str | None, event_types: list[str] | None) -> None:
    problems: dict[str, str] = {}
    if url is not None:
        try:
            check_url(url, policy())
        except UnsafeUrl as error:
            problems["endpoint"] = str(error)
    for index, name in enumerate(event_types or []):
        if not is_subscribable(name):
            problems[f"events.{index}"] = f"`{name}` is not an event type or group"
    if problems:
        raise ValidationFailed(problems)
