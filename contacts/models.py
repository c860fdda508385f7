"""Contacts and suppressed addresses."""

from typing import Self
from uuid import UUID

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import TenantQuerySet, Workspace
from core.addresses import identity
from core.db.ids import uuid7


class ContactQuerySet(TenantQuerySet["Contact"]):
    def at(self, email: str) -> Self:
        """With this address, ignoring case."""
        return self.alias(identity=Lower("email")).filter(identity=identity(email))


class Contact(models.Model):
    """A person in a workspace, identified by one email address."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    email = models.EmailField(max_length=320)
    first_name = models.CharField(max_length=200, blank=True)
    last_name = models.CharField(max_length=200, blank=True)
    unsubscribed = models.BooleanField(default=False)
    # The customer's custom fields, by name.
    properties = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ContactQuerySet.as_manager()

    class Meta:
        db_table = "contacts"
        constraints = [
            models.UniqueConstraint("workspace", Lower("email"), name="contacts_once"),
        ]
        indexes = [models.Index(fields=["workspace", "-id"], name="contacts_newest")]

    def __str__(self) -> str:
        return self.email


class SuppressionQuerySet(TenantQuerySet["Suppression"]):
    def at(self, email: str) -> Self:
        """Of this address, ignoring case."""
        return self.filter(email=identity(email))


class Suppression(models.Model):
    """An address that a workspace no longer sends to, and the reason."""

    class Origin(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed"
        SOFT_BOUNCES = "soft_bounces"
        BOUNCE = "bounce"
        COMPLAINT = "complaint"
        MANUAL = "manual"

    # A weaker origin never overwrites a stronger one.
    STRENGTH = {
        Origin.UNSUBSCRIBED: 10,
        Origin.SOFT_BOUNCES: 20,
        Origin.BOUNCE: 30,
        Origin.COMPLAINT: 40,
        Origin.MANUAL: 50,
    }

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    # Lower case, so that equal addresses are equal rows.
    email = models.CharField(max_length=320)
    origin = models.CharField(max_length=20, choices=Origin)
    # The cause. `emails` is a higher layer, so these are plain ids, not foreign keys.
    email_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(
        null=True, blank=True, editable=False
    )
    event_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(
        null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SuppressionQuerySet.as_manager()

    class Meta:
        db_table = "suppressions"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "email"], name="suppressions_once"),
            models.CheckConstraint(
                condition=Q(email=Lower("email")), name="suppressions_email_lower"
            ),
            models.CheckConstraint(
                condition=Q(
                    origin__in=["unsubscribed", "soft_bounces", "bounce", "complaint", "manual"]
                ),
                name="suppressions_origin_known",
            ),
        ]
        indexes = [
            # Lists are ordered by id. `created_at` allows filtering inside the index: otherwise a
            # page of an old period would visit every newer row.
            models.Index(fields=["workspace", "-id", "created_at"], name="suppressions_newest"),
            models.Index(
                fields=["workspace", "origin", "-id", "created_at"], name="suppressions_by_origin"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.origin})"
