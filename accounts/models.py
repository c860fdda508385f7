"""Tenants, their keys, and the answers kept for repeated requests."""

from typing import Protocol, Self, TypeVar
from uuid import UUID

from django.db import models

from core.db.ids import uuid7
from core.security.crypto import CiphertextField


class Workspace(models.Model):
    """The tenant: everything else belongs to exactly one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200)
    # Requests a second and key; null means the installation's own limit.
    rate_limit = models.PositiveIntegerField(null=True, blank=True)
    rate_burst = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "workspaces"

    def __str__(self) -> str:
        return self.name


M = TypeVar("M", bound=models.Model)


class HasWorkspace(Protocol):
    """An accounts.access.Access."""

    @property
    def workspace(self) -> Workspace: ...


class TenantQuerySet(models.QuerySet[M]):
    """Rows that belong to a workspace. An app's API reaches them by `visible_to` alone."""

    def for_workspace(self, workspace: Workspace) -> Self:
        return self.filter(workspace=workspace)

    def visible_to(self, access: HasWorkspace) -> Self:
        return self.for_workspace(access.workspace)


class ApiKeyQuerySet(TenantQuerySet["ApiKey"]):
    def live(self) -> Self:
        return self.filter(revoked_at=None)


class ApiKey(models.Model):
    """A bearer token. Only its SHA-256 is kept, beside enough of it to recognise it by."""

    class Permission(models.TextChoices):
        FULL_ACCESS = "full_access"
        SENDING_ACCESS = "sending_access"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(max_length=16, editable=False)
    permission = models.CharField(max_length=20, choices=Permission, default=Permission.FULL_ACCESS)
    # Domains live on a higher floor, so this is an id and no foreign key. A key whose domain
    # is gone sends from nothing.
    domain_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(
        null=True, blank=True
    )
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        db_table = "api_keys"
        verbose_name = "API key"
        indexes = [
            # For the newest-first list of a workspace.
            models.Index(fields=["workspace", "-id"], name="api_keys_newest"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(permission__in=["full_access", "sending_access"]),
                name="api_keys_permission_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_restricted(self) -> bool:
        return self.permission == self.Permission.SENDING_ACCESS


class IdempotencyRecord(models.Model):
    """The answer that a repeated request gets; written in the transaction of the first."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    route = models.CharField(max_length=200)
    key = models.CharField(max_length=256)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    # JSON, encrypted: the answer may hold a key or a secret that is shown only once.
    encrypted_body = CiphertextField()
    # Work after the commit may still change the answer until then. Null: it is final.
    unfinished_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "idempotency_records"
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "route", "key"], name="idempotency_records_once"
            ),
        ]
        indexes = [
            # For forgetting what is old.
            models.Index(fields=["created_at"], name="idempotency_records_age"),
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"
