"""Who is asking, and what they may do: everything that needs to know takes an `Access`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from uuid import UUID

from accounts.models import ApiKey, Workspace
from core.errors import DomainError


class Scope(StrEnum):
    """`resource:action`, the unit of permission."""

    API_KEYS_READ = "api_keys:read"
    API_KEYS_WRITE = "api_keys:write"
    CONTACTS_READ = "contacts:read"
    CONTACTS_WRITE = "contacts:write"
    DOMAINS_READ = "domains:read"
    DOMAINS_WRITE = "domains:write"
    EMAILS_READ = "emails:read"
    EMAILS_READ_OWN = "emails:read_own"  # those that the same actor sent
    EMAILS_SEND = "emails:send"
    EMAILS_WRITE = "emails:write"  # reschedule and cancel
    RECEIVING_READ = "receiving:read"
    SUPPRESSIONS_READ = "suppressions:read"
    SUPPRESSIONS_WRITE = "suppressions:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"


FULL_ACCESS = frozenset(Scope)
SENDING_ACCESS = frozenset({Scope.EMAILS_SEND, Scope.EMAILS_READ_OWN})
# The permissions that API keys have: named sets of scopes.
PERMISSIONS = {
    ApiKey.Permission.FULL_ACCESS: FULL_ACCESS,
    ApiKey.Permission.SENDING_ACCESS: SENDING_ACCESS,
}


class ScopeMissing(DomainError):
    """The caller is known, and may not do this."""

    name = "restricted_api_key"
    status = 403


class ActorKind(StrEnum):
    API_KEY = "api_key"
    SYSTEM = "system"  # the installation itself


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `id` is the API key's, and None for the installation itself."""

    kind: ActorKind
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """One caller in one workspace; `domain_id`, `pod_id` or `inbox_id` narrow it to one of them."""

    workspace: Workspace
    actor: Actor
    scopes: frozenset[Scope]
    domain_id: UUID | None = None
    pod_id: UUID | None = None
    inbox_id: UUID | None = None

    @classmethod
    def of_api_key(cls, key: ApiKey) -> Self:
        return cls(
            key.workspace,
            Actor(ActorKind.API_KEY, key.pk),
            PERMISSIONS[ApiKey.Permission(key.permission)],
            domain_id=key.domain_id,
        )

    @classmethod
    def of_system(cls, workspace: Workspace) -> Self:
        """For what the installation does in a workspace on its own account."""
        return cls(workspace, Actor(ActorKind.SYSTEM), FULL_ACCESS)

    @property
    def api_key_id(self) -> UUID | None:
        return self.actor.id if self.actor.kind is ActorKind.API_KEY else None

    def has(self, scope: Scope) -> bool:
        return scope in self.scopes

    def require(self, scope: Scope) -> None:
        """ScopeMissing unless the caller may do this."""
        if scope not in self.scopes:
            raise ScopeMissing("This API key may only send emails. Use a key with `full_access`.")
