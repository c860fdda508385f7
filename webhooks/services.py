"""The verbs on endpoints."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Workspace
from core.errors import ValidationFailed
from core.outbound import OutboundPolicy, UnsafeUrl, check_url
from core.wake import wake
from events.catalogue import is_subscribable
from webhooks.models import Delivery, Endpoint
from webhooks.signing import Keyring
from webhooks.subscribers import DELIVER

CLOSE = "webhooks.tasks.close_what_is_owed"

# An endpoint that begins anew is asked as if it had never failed.
_FRESH: dict[str, Any] = {
    "failures_in_a_row": 0,
    "failing_since": None,
    "failing_told_at": None,
    "probe_at": None,
    "disabled_reason": "",
}


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
    keyring = Keyring.new()
    endpoint = Endpoint.objects.create(
        workspace=workspace,
        url=url,
        event_types=event_types,
        description=description,
        encrypted_keyring=keyring.sealed(),
        public_key=keyring.newest.public_key,
    )
    return endpoint, keyring.newest.secret


def update_endpoint(endpoint: Endpoint, changes: dict[str, Any]) -> Endpoint:
    """Change `url`, `event_types`, `description` or `status`; what isn't named stays.

    What is still owed to a disabled endpoint fails, in the background.
    """
    _check(changes.get("url"), changes.get("event_types"))
    if "status" in changes:
        is_disabled = changes["status"] == Endpoint.Status.DISABLED
        changes = changes | _FRESH | {"disabled_at": timezone.now() if is_disabled else None}
    with transaction.atomic():
        for field, value in changes.items():
            setattr(endpoint, field, value)
        endpoint.save(update_fields=list(changes))
        wake(CLOSE if endpoint.status == Endpoint.Status.DISABLED else DELIVER)
    return endpoint


def disable(endpoint: Endpoint, reason: str) -> None:
    """Send an endpoint nothing any more, for a reason that its owner did not give."""
    endpoint.status = Endpoint.Status.DISABLED
    endpoint.disabled_reason, endpoint.disabled_at = reason, timezone.now()
    endpoint.save(update_fields=["status", "disabled_reason", "disabled_at"])
    wake(CLOSE)


def delete_endpoint(endpoint: Endpoint) -> None:
    """The endpoint is gone for its owner at once; its rows are removed in the background."""
    with transaction.atomic():
        endpoint.deleted_at, endpoint.status = timezone.now(), Endpoint.Status.DISABLED
        endpoint.save(update_fields=["deleted_at", "status"])
        wake(CLOSE)


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
