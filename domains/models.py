"""Sending domains and the DNS records that verify them."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.models import TenantQuerySet, Workspace
from core.db.ids import uuid7
from core.queue.work import WorkItem, WorkQuerySet


class DomainQuerySet(TenantQuerySet["Domain"], WorkQuerySet["Domain"]):  # type: ignore[override]
    def live(self) -> Self:
        """Without those that wait for their SES identity to be deleted."""
        return self.filter(deleted_at=None)


class Domain(WorkItem):
    """A domain that a workspace sends from, unique in the installation.

    The row is due when its SES identity must next be created, checked or deleted.
    """

    class Status(models.TextChoices):
        NOT_STARTED = "not_started"
        PENDING = "pending"
        VERIFIED = "verified"
        TEMPORARY_FAILURE = "temporary_failure"
        FAILED = "failed"

    class Provider(models.TextChoices):
        """The providers in emails.providers that a domain can choose."""

        SES = "ses", "Amazon SES"
        SMTP = "smtp", "the SMTP relay"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="domains")
    # A-labels (RFC 5890), lower case, so that equal names are equal rows.
    name = models.CharField(max_length=253, unique=True)
    status = models.CharField(max_length=20, choices=Status, default=Status.NOT_STARTED)
    # The error of the last SES call; empty when it succeeded.
    reason = models.TextField(blank=True)
    region = models.CharField(max_length=30)
    sending = models.BooleanField(default=True)
    receiving = models.BooleanField(default=False)
    # The provider that sends its mail; empty for the installation's default.
    provider = models.CharField(max_length=10, blank=True, default="", db_default="")
    open_tracking = models.BooleanField(default=False, db_default=False)
    click_tracking = models.BooleanField(default=False, db_default=False)
    dkim_tokens = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    ses_configuration_set_name = models.CharField(max_length=64, blank=True)
    checks = models.PositiveIntegerField(default=0, editable=False)
    verified_at = models.DateTimeField(null=True, editable=False)
    # Set until the SES identity is deleted; the row is deleted after that.
    deleted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DomainQuerySet.as_manager()

    class Meta:
        db_table = "domains"
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=["not_started", "pending", "verified", "temporary_failure", "failed"]
                ),
                name="domains_status_known",
            ),
            models.CheckConstraint(
                condition=Q(provider__in=["", "ses", "smtp"]), name="domains_provider_known"
            ),
        ]
        indexes = [
            # For claiming the domains that are due for a check.
            models.Index(
                fields=["next_attempt_at"],
                name="domains_due",
                condition=Q(next_attempt_at__isnull=False),
            ),
            # For the newest-first list of a workspace.
            models.Index(fields=["workspace", "-id"], name="domains_newest"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_verified(self) -> bool:
        return self.status == self.Status.VERIFIED


class DnsRecord(models.Model):
    """A DNS record that the domain's owner must publish, and whether it was found."""

    class Purpose(models.TextChoices):
        DKIM = "DKIM"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    domain = models.ForeignKey(Domain, models.CASCADE, related_name="records")
    purpose = models.CharField(max_length=10, choices=Purpose)
    # Longer than DNS allows: SES creates DKIM tokens even for domain names of maximum length.
    name = models.CharField(max_length=320)
    type = models.CharField(max_length=10)
    value = models.TextField()
    ttl = models.CharField(max_length=10, default="Auto")
    priority = models.PositiveSmallIntegerField(null=True)
    status = models.CharField(
        max_length=20, choices=Domain.Status, default=Domain.Status.NOT_STARTED
    )

    class Meta:
        db_table = "dns_records"
        verbose_name = "DNS record"
        constraints = [
            models.UniqueConstraint(
                fields=["domain", "purpose", "name", "type"], name="dns_records_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.name}"
