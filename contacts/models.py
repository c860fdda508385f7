"""Contacts, suppressed addresses, and those that SES must suppress no more."""

from typing import Self
from uuid import UUID

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import TenantQuerySet, Workspace
from core.addresses import identity
from core.db.ids import uuid7
from core.queue.work import WorkItem, WorkQuerySet


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

    # A weaker origin never overwrites a stronger one. `soft_bounces` alone is taken back by itself,
    # when a delivery refutes it: it must not have replaced anything by then.
    STRENGTH = {
        Origin.SOFT_BOUNCES: 10,
        Origin.UNSUBSCRIBED: 20,
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


class SesRemovalQuerySet(TenantQuerySet["SesRemoval"], WorkQuerySet["SesRemoval"]):  # type: ignore[override]
    def open(self) -> Self:
        """Whose address SES still holds, as far as is known."""
        return self.filter(removed_at=None)

    def failing(self) -> Self:
        """Whose last SES call failed."""
        return self.exclude(last_error="")


class SesRemoval(WorkItem):
    """An address that must leave SES's own list, since its suppression was removed here.

    SES puts addresses that bounce or complain on the account-level suppression list of a region,
    and sends no mail to them. The row is due until SES has deleted the address there. It is kept
    for a day after that: bounces of mail that SES dropped before may come late. A row without
    `removed_at` that is not due any more is one that SES refused.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    # Lower case.
    email = models.CharField(max_length=320)
    region = models.CharField(max_length=30)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    removed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SesRemovalQuerySet.as_manager()

    class Meta:
        db_table = "ses_removals"
        verbose_name = "SES list removal"
        verbose_name_plural = "SES list removals"
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "email", "region"], name="ses_removals_once"
            ),
        ]
        indexes = [
            # For claiming what is due.
            models.Index(
                fields=["next_attempt_at"],
                name="ses_removals_due",
                condition=Q(next_attempt_at__isnull=False),
            ),
            # For the purge.
            models.Index(
                fields=["removed_at"],
                name="ses_removals_removed",
                condition=Q(removed_at__isnull=False),
            ),
            # For the alert that SES still holds addresses.
            models.Index(fields=["-id"], name="ses_removals_failing", condition=~Q(last_error="")),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.region})"
