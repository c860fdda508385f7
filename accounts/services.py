"""The verbs on workspaces and keys."""

import secrets
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.authentication import digest
from accounts.models import ApiKey, Workspace
from core import hooks
from core.errors import ValidationFailed

PREFIX_LENGTH = 10
_FOR_SENDING = "restricts sending, so it can only be given with `sending_access`"


def create_workspace(*, name: str) -> Workspace:
    return Workspace.objects.create(name=name)


def create_api_key(
    *,
    workspace: Workspace,
    name: str,
    permission: str = ApiKey.Permission.FULL_ACCESS,
    domain_id: UUID | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its token, which is shown this once: `os_` and 32 random characters.

    A domain restricts what may be sent, so it is for keys that do nothing else.
    """
    if domain_id is not None:
        _check_domain(workspace, domain_id)
        if permission == ApiKey.Permission.FULL_ACCESS:
            raise ValidationFailed({"domain_id": _FOR_SENDING})
    token = "os_" + secrets.token_urlsafe(24)
    key = ApiKey.objects.create(
        workspace=workspace,
        name=name,
        permission=permission,
        domain_id=domain_id,
        digest=digest(token),
        prefix=token[:PREFIX_LENGTH],
    )
    return key, token


def update_api_key(key: ApiKey, changes: dict[str, object]) -> ApiKey:
    """Change `name`, `permission` or `domain_id`; what isn't named stays."""
    if isinstance(domain_id := changes.get("domain_id"), UUID):
        _check_domain(key.workspace, domain_id)
    with transaction.atomic():
        # Two requests must not bring about together what neither may; no_key, because emails
        # refer to the key and need not wait.
        key = ApiKey.objects.select_for_update(no_key=True).get(pk=key.pk)
        for field, value in changes.items():
            setattr(key, field, value)
        _check_restriction(key, changes)
        key.save(update_fields=list(changes))
    return key


def revoke_api_key(key: ApiKey) -> None:
    """Refuse the key from the next request on. The row stays, for what was sent with it."""
    ApiKey.objects.live().filter(pk=key.pk).update(revoked_at=timezone.now())


def _check_restriction(key: ApiKey, changes: dict[str, object]) -> None:
    """Only of what is changed: keys with both may be there from earlier."""
    if key.is_restricted or key.domain_id is None:
        return
    if "domain_id" in changes:
        raise ValidationFailed({"domain_id": _FOR_SENDING})
    if "permission" in changes:
        problem = "must stay `sending_access` unless `domain_id` is set to null as well"
        raise ValidationFailed({"permission": problem})


def _check_domain(workspace: Workspace, domain_id: UUID) -> None:
    # Domains live on a higher floor.
    owners = hooks.collect("DOMAIN_OWNERS")
    if not any(owns(workspace, domain_id) for owns in owners):
        raise ValidationFailed({"domain_id": "is not a domain of this workspace"})
