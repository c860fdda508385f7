"""Outgoing email: the message, the status of each recipient, and the facts behind it."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Lower, Now
from django.utils import timezone

from accounts.access import Access, Scope
from accounts.models import TenantQuerySet, Workspace
from core.db.ids import uuid7
from core.queue.work import WorkItem, WorkQuerySet

# Statuses of the partial indexes.
_WAITING = ["queued", "scheduled"]
_UNRESOLVED = ["sending", "unknown", "held"]
_UNSENT = ["queued", "scheduled", "held"]
# Nothing is going to be sent any more, and no operator has to decide anything.
_FINAL = Q(next_attempt_at=None) & ~Q(status="unknown")
# Scheduled mail is as old as its sending, other mail as its request.
_AGE_FROM = Coalesce("sent_at", "created_at")


class EmailQuerySet(TenantQuerySet["Email"], WorkQuerySet["Email"]):  # type: ignore[override]
    def visible_to(self, access: Access) -> Self:  # type: ignore[override]
        """Its whole workspace, or only what its API key has sent."""
        emails = super().visible_to(access)
        if access.has(Scope.EMAILS_READ):
            return emails
        return emails.filter(api_key=access.api_key_id) if access.api_key_id else emails.none()

    def owned_by(self, owner: str) -> Self:
        """Mail of one owner that is not sent yet; nothing for "", which is no owner."""
        return self.filter(owner=owner, status__in=_UNSENT).exclude(owner="")

    def certainly_unsent(self) -> Self:
        """Queued or scheduled, and no earlier attempt may have sent it."""
        return self.filter(
            status__in=[Email.Status.QUEUED, Email.Status.SCHEDULED], unknown_since=None
        )

    def with_old_content(self, before: datetime) -> Self:
        """Final mail of before that time which still has its content, oldest first."""
        return self._final(before).filter(content_purged_at=None)

    def without_content_since(self, before: datetime) -> Self:
        """Final mail of before that time whose content is purged, oldest first."""
        return self._final(before).filter(content_purged_at__isnull=False)

    def _final(self, before: datetime) -> Self:
        rows = self.filter(_FINAL).annotate(age_from=_AGE_FROM)
        return rows.filter(age_from__lt=before).order_by("age_from")

    def without_content(self) -> Self:
        return self.defer("html", "text", "headers")


class Email(WorkItem):
    """One message, exactly as the caller wrote it. Due until the provider has answered for it."""

    DUE_CONDITIONS: ClassVar[Sequence[Q]] = (
        Q(status__in=_WAITING),
        Q(status__in=_UNRESOLVED),
    )

    class Status(models.TextChoices):
        SCHEDULED = "scheduled"
        QUEUED = "queued"
        HELD = "held"  # kept back until it is released; fails at `next_attempt_at`
        SENDING = "sending"
        UNKNOWN = "unknown"  # sent to the provider, but not known whether it was accepted
        SENT = "sent"
        DELIVERED = "delivered"
        DELIVERY_DELAYED = "delivery_delayed"
        SOFT_BOUNCED = "soft_bounced"
        BOUNCED = "bounced"
        COMPLAINED = "complained"
        FAILED = "failed"
        CANCELLED = "cancelled"
        SUPPRESSED = "suppressed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", db_index=False)
    api_key = models.ForeignKey("accounts.ApiKey", models.SET_NULL, null=True, related_name="+")
    # Not a foreign key: the email outlives its domain.
    domain_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    # Fixed at accept, from the domain or the installation.
    provider = models.CharField(max_length=10, default="ses", db_default="ses")
    region = models.CharField(max_length=30)
    configuration_set = models.CharField(max_length=64, blank=True)
    # Sent by POST /emails/batch; single emails take precedence.
    is_batch = models.BooleanField(default=False, db_default=False)

    sender = models.CharField(max_length=700)
    to = ArrayField(models.CharField(max_length=700))
    cc = ArrayField(models.CharField(max_length=700), default=list)
    bcc = ArrayField(models.CharField(max_length=700), default=list)
    reply_to = ArrayField(models.CharField(max_length=700), default=list)
    subject = models.CharField(max_length=998)
    html = models.TextField(blank=True)
    text = models.TextField(blank=True)
    # The caller wants no text part; without one it is generated from the HTML.
    html_only = models.BooleanField(default=False, db_default=False)
    headers = models.JSONField(default=dict)
    tags = models.JSONField(default=dict)
    attachment_count = models.PositiveSmallIntegerField(default=0, db_default=0)
    # Copied from the domain at accept.
    open_tracking = models.BooleanField(default=False, db_default=False)
    click_tracking = models.BooleanField(default=False, db_default=False)
    # Whether the recipient gets one-click unsubscribe (RFC 8058).
    unsubscribe = models.BooleanField(default=False, db_default=False)

    # The opaque key of whoever may hold this mail, such as an inbox; unique in the installation.
    owner = models.CharField(max_length=100, blank=True, default="", db_default="")

    status = models.CharField(max_length=20, choices=Status, default=Status.QUEUED)
    last_error = models.TextField(blank=True)
    # Why it is held, or was when it was cancelled or expired.
    hold_reason = models.CharField(max_length=200, blank=True, default="", db_default="")
    provider_message_id = models.CharField(max_length=200, blank=True)
    provider_response = models.TextField(blank=True)
    # The Message-ID header: ours, until the provider replaces it with its own.
    message_id = models.CharField(max_length=400)
    request_id = models.CharField(max_length=128, blank=True)
    scheduled_at = models.DateTimeField(null=True)
    # The first attempt, and when `email.delayed` was last published.
    first_attempt_at = models.DateTimeField(null=True)
    delay_published_at = models.DateTimeField(null=True)
    # Since when it is unknown whether an attempt has sent it.
    unknown_since = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    # All hits, and those of humans: scanners and image proxies open and click as well.
    opens = models.PositiveIntegerField(default=0, db_default=0)
    human_opens = models.PositiveIntegerField(default=0, db_default=0)
    clicks = models.PositiveIntegerField(default=0, db_default=0)
    human_clicks = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # When its texts, headers and attachments were purged (emails.retention).
    content_purged_at = models.DateTimeField(null=True, editable=False)

    objects = EmailQuerySet.as_manager()

    class Meta:
        db_table = "emails"
        constraints = [
            # What has no content any more is never sent.
            models.CheckConstraint(
                condition=Q(content_purged_at=None) & ~(Q(html="") & Q(text=""))
                | Q(content_purged_at__isnull=False, next_attempt_at=None),
                name="emails_has_content",
            ),
            # Due exactly while it is pending; an unknown send that awaits an operator is not due.
            models.CheckConstraint(
                condition=Q(
                    status__in=["scheduled", "queued", "held", "sending"],
                    next_attempt_at__isnull=False,
                )
                | Q(status="unknown")
                | (
                    ~Q(status__in=["scheduled", "queued", "held", "sending", "unknown"])
                    & Q(next_attempt_at__isnull=True)
                ),
                name="emails_due_while_pending",
            ),
        ]
        indexes = [
            # For claiming under one rate limit, single emails and batches separately,
            # round-robin between workspaces; only pending rows are in it.
            models.Index(
                fields=["provider", "region", "is_batch", "workspace", "next_attempt_at"],
                name="emails_due",
                condition=Q(next_attempt_at__isnull=False, status__in=_WAITING),
            ),
            # For resolving sends whose worker crashed or whose outcome is unknown, and for
            # expiring held mail.
            models.Index(
                fields=["next_attempt_at"],
                name="emails_unresolved",
                condition=Q(next_attempt_at__isnull=False, status__in=_UNRESOLVED),
            ),
            # For holding and releasing the mail of one owner.
            models.Index(
                fields=["owner", "id"],
                name="emails_unsent_of_owner",
                condition=~Q(owner="") & Q(status__in=_UNSENT),
            ),
            # For retention: a final email is in the first until its content is purged, and in
            # the second then.
            models.Index(
                _AGE_FROM,
                name="emails_content_age",
                condition=_FINAL & Q(content_purged_at=None),
            ),
            models.Index(
                _AGE_FROM,
                name="emails_purged_age",
                condition=_FINAL & Q(content_purged_at__isnull=False),
            ),
            # For matching events of the provider.
            models.Index(
                fields=["provider_message_id"],
                name="emails_provider_message_id",
                condition=~Q(provider_message_id=""),
            ),
            # For the lists, newest first: of a workspace, and by status in the admin.
            models.Index(fields=["workspace", "-id"], name="emails_newest"),
            models.Index(fields=["status", "-id"], name="emails_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.subject[:60]} → {', '.join(self.to)[:60]}"


class EmailRecipient(models.Model):
    """One recipient of one email, with its own status."""

    class Kind(models.TextChoices):
        TO = "to"
        CC = "cc"
        BCC = "bcc"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.ForeignKey(Email, models.CASCADE, related_name="recipients", db_index=False)
    kind = models.CharField(max_length=3, choices=Kind)
    # ASCII with a lower-case domain, as SES reports it.
    address = models.CharField(max_length=320)
    status = models.CharField(max_length=20, choices=Email.Status, default=Email.Status.QUEUED)
    status_at = models.DateTimeField(null=True)
    detail = models.CharField(max_length=1000, blank=True)

    class Meta:
        db_table = "email_recipients"
        verbose_name = "recipient"
        constraints = [
            # A recipient is unique per email, across to, cc and bcc.
            models.UniqueConstraint(fields=["email", "address"], name="email_recipients_once"),
        ]
        indexes = [
            # For the admin's search by address.
            models.Index(fields=["address", "-id"], name="email_recipients_of"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.address}: {self.status}"


class EmailAttachment(models.Model):
    """The metadata of one attachment; its bytes are in the blob store."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.ForeignKey(Email, models.CASCADE, related_name="attachments", db_index=False)
    position = models.PositiveSmallIntegerField()
    filename = models.CharField(max_length=255)
    content_type = models.CharField(max_length=255)
    # Of an inline part, without angle brackets; empty for a regular attachment.
    content_id = models.CharField(max_length=255, blank=True)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    blob_key = models.CharField(max_length=200)

    class Meta:
        db_table = "email_attachments"
        verbose_name = "attachment"
        constraints = [
            models.UniqueConstraint(
                fields=["email", "position"], name="email_attachments_in_order"
            ),
        ]

    def __str__(self) -> str:
        return self.filename


class EmailEvent(models.Model):
    """One fact about an email, stored once however often it is reported.

    The published event has the same id.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.ForeignKey(Email, models.CASCADE, related_name="events", db_index=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", db_index=False)
    type = models.CharField(max_length=30)
    # The affected recipient; empty for all of them or if it is unknown.
    recipient = models.CharField(max_length=320, blank=True)
    # The recipient status that the fact sets, empty for none.
    status = models.CharField(max_length=20, blank=True)
    # Duplicates of a fact have the same fingerprint.
    fingerprint = models.CharField(max_length=64)
    # False for a soft bounce that is about the message instead of the mailbox.
    counts_against_address = models.BooleanField(default=True, db_default=True)
    payload = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "email_events"
        constraints = [
            models.UniqueConstraint(fields=["email", "fingerprint"], name="email_events_once"),
        ]
        indexes = [
            # For counting the soft bounces of an address.
            models.Index(
                "workspace",
                Lower("recipient"),
                "occurred_at",
                name="email_events_soft_bounces",
                condition=Q(status="soft_bounced"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.recipient}"


class SendRate(models.Model):
    """A provider's rate limit for all workers: a token bucket, one token per recipient."""

    # An SES region, or the name of a provider without regions.
    name = models.CharField(max_length=30, primary_key=True)
    # The provider's limits: recipients per second and per day (null: unlimited).
    max_rate = models.FloatField()
    daily_quota = models.FloatField(null=True)
    # Recipients in the 24 hours before the last refresh, and recipients since then.
    sent_24h = models.FloatField(default=0, db_default=0)
    sent_since = models.FloatField(default=0, db_default=0)
    # Negative after an email with more recipients than there were tokens.
    tokens = models.FloatField(default=0, db_default=0)
    filled_at = models.DateTimeField(db_default=Now())
    # The fraction of `max_rate` that is used; below 1 after throttling.
    factor = models.FloatField(default=1, db_default=1)
    factor_at = models.DateTimeField(db_default=Now())
    # Recent calls and the throttled ones among them, exponentially decaying.
    calls = models.FloatField(default=0, db_default=0)
    throttled = models.FloatField(default=0, db_default=0)
    # The last overload: too many throttled calls.
    throttled_at = models.DateTimeField(null=True)
    # When the limits are fetched next, and when they were last fetched.
    refresh_at = models.DateTimeField(db_default=Now())
    refreshed_at = models.DateTimeField(null=True)
    # The daily quota is used up: nothing is sent before the refresh at this time.
    paused_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "send_rates"

    def __str__(self) -> str:
        return self.name
