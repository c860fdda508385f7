"""Outgoing mail: what was asked for, what became of each recipient, and the facts behind it."""

from typing import Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone

from accounts.models import ApiKey, Workspace
from core.db.ids import uuid7
from core.queue.work import WorkItem, WorkQuerySet


class EmailQuerySet(WorkQuerySet["Email"]):
    def for_key(self, key: ApiKey) -> Self:
        """What this key may read: all of its workspace, or what it sent itself."""
        own = self.filter(workspace=key.workspace)
        return own.filter(api_key=key) if key.is_restricted else own

    def without_content(self) -> Self:
        return self.defer("html", "text", "headers")


class Email(WorkItem):
    """One message, exactly as the caller wrote it. Due while it is on its way to the provider."""

    class Status(models.TextChoices):
        SCHEDULED = "scheduled"
        QUEUED = "queued"
        SENDING = "sending"
        UNKNOWN = "unknown"  # handed to the provider, and nobody knows yet whether it took it
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
    api_key = models.ForeignKey(ApiKey, models.SET_NULL, null=True, related_name="+")
    # A removed domain leaves its mail behind, so this is an id and no foreign key.
    domain_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    # Which provider takes it, as the domain or the installation said when it was accepted.
    provider = models.CharField(max_length=10, default="ses", db_default="ses")
    region = models.CharField(max_length=30)
    configuration_set = models.CharField(max_length=64, blank=True)
    # One of a batch: single mails go first.
    is_batch = models.BooleanField(default=False, db_default=False)

    sender = models.CharField(max_length=700)
    to = ArrayField(models.CharField(max_length=700))
    cc = ArrayField(models.CharField(max_length=700), default=list)
    bcc = ArrayField(models.CharField(max_length=700), default=list)
    reply_to = ArrayField(models.CharField(max_length=700), default=list)
    subject = models.CharField(max_length=998)
    html = models.TextField(blank=True)
    text = models.TextField(blank=True)
    headers = models.JSONField(default=dict)
    tags = models.JSONField(default=dict)
    attachment_count = models.PositiveSmallIntegerField(default=0, db_default=0)
    # As its domain had them when it was accepted.
    open_tracking = models.BooleanField(default=False, db_default=False)
    click_tracking = models.BooleanField(default=False, db_default=False)
    # Whether recipients get a way to unsubscribe with one click (RFC 8058).
    unsubscribe = models.BooleanField(default=False, db_default=False)

    status = models.CharField(max_length=20, choices=Status, default=Status.QUEUED)
    last_error = models.TextField(blank=True)
    provider_message_id = models.CharField(max_length=200, blank=True)
    provider_response = models.TextField(blank=True)
    # The Message-ID that recipients see, once the provider has set it; ours until then.
    message_id = models.CharField(max_length=400)
    request_id = models.CharField(max_length=128, blank=True)
    scheduled_at = models.DateTimeField(null=True)
    # Since when it is tried; `email.delayed` was last published at `delay_published_at`.
    first_attempt_at = models.DateTimeField(null=True)
    delay_published_at = models.DateTimeField(null=True)
    # Since when it may have left without anybody knowing.
    unknown_since = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    # Every hit, and those of people: scanners and image proxies open and click as well.
    opens = models.PositiveIntegerField(default=0, db_default=0)
    human_opens = models.PositiveIntegerField(default=0, db_default=0)
    clicks = models.PositiveIntegerField(default=0, db_default=0)
    human_clicks = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = EmailQuerySet.as_manager()

    class Meta:
        db_table = "emails"
        constraints = [
            models.CheckConstraint(condition=~(Q(html="") & Q(text="")), name="emails_has_content"),
            # A row is due exactly while it is on its way; "hold" keeps an unknown send undue.
            models.CheckConstraint(
                condition=Q(
                    status__in=["scheduled", "queued", "sending"], next_attempt_at__isnull=False
                )
                | Q(status="unknown")
                | (
                    ~Q(status__in=["scheduled", "queued", "sending", "unknown"])
                    & Q(next_attempt_at__isnull=True)
                ),
                name="emails_due_iff_on_its_way",
            ),
        ]
        indexes = [
            # For claiming what one rate limit is for, single mails and those of batches apart,
            # by turns between workspaces; what has left is not in it.
            models.Index(
                fields=["provider", "region", "is_batch", "workspace", "next_attempt_at"],
                name="emails_due",
                condition=Q(next_attempt_at__isnull=False, status__in=["queued", "scheduled"]),
            ),
            # For settling sends whose worker died or whose outcome is unknown.
            models.Index(
                fields=["next_attempt_at"],
                name="emails_unresolved",
                condition=Q(next_attempt_at__isnull=False, status__in=["sending", "unknown"]),
            ),
            # For matching what the provider reports.
            models.Index(
                fields=["provider_message_id"],
                name="emails_provider_message_id",
                condition=~Q(provider_message_id=""),
            ),
            # For the newest-first list of a workspace, and of an operator by status.
            models.Index(fields=["workspace", "-id"], name="emails_newest"),
            models.Index(fields=["status", "-id"], name="emails_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.subject[:60]} → {', '.join(self.to)[:60]}"


class EmailRecipient(models.Model):
    """One address of one email and how far the email got there."""

    class Kind(models.TextChoices):
        TO = "to"
        CC = "cc"
        BCC = "bcc"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.ForeignKey(Email, models.CASCADE, related_name="recipients", db_index=False)
    kind = models.CharField(max_length=3, choices=Kind)
    # ASCII and with a lower-case domain, as SES reports it.
    address = models.CharField(max_length=320)
    status = models.CharField(max_length=20, choices=Email.Status, default=Email.Status.QUEUED)
    status_at = models.DateTimeField(null=True)
    detail = models.CharField(max_length=1000, blank=True)

    class Meta:
        db_table = "email_recipients"
        constraints = [
            # Nobody gets a mail twice, whatever the lists say.
            models.UniqueConstraint(fields=["email", "address"], name="email_recipients_once"),
        ]
        indexes = [
            # For an operator looking for a person's mail.
            models.Index(fields=["address", "-id"], name="email_recipients_of"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.address}: {self.status}"


class EmailAttachment(models.Model):
    """One attachment: what is said of it. Its bytes are in the blob store."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.ForeignKey(Email, models.CASCADE, related_name="attachments", db_index=False)
    position = models.PositiveSmallIntegerField()
    filename = models.CharField(max_length=255)
    content_type = models.CharField(max_length=255)
    # Of an inline part, without the angle brackets; empty for an ordinary attachment.
    content_id = models.CharField(max_length=255, blank=True)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    blob_key = models.CharField(max_length=200)

    class Meta:
        db_table = "email_attachments"
        constraints = [
            models.UniqueConstraint(
                fields=["email", "position"], name="email_attachments_in_order"
            ),
        ]

    def __str__(self) -> str:
        return self.filename


class EmailEvent(models.Model):
    """One fact about an email, kept once however often and by whatever way it was reported.

    The event that tells customers' software of it bears its id.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.ForeignKey(Email, models.CASCADE, related_name="events", db_index=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", db_index=False)
    type = models.CharField(max_length=30)
    # The recipient concerned; empty when it is all of them or nobody knows.
    recipient = models.CharField(max_length=320, blank=True)
    # The recipient status that the fact brings, empty when it brings none.
    status = models.CharField(max_length=20, blank=True)
    # What makes two reports the same fact.
    fingerprint = models.CharField(max_length=64)
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
                name="email_events_soft",
                condition=Q(status="soft_bounced"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.recipient}"


class SendRate(models.Model):
    """What a provider takes from all workers together: a bucket of tokens, each a recipient."""

    # A region of SES, or the name of a provider that has none.
    name = models.CharField(max_length=30, primary_key=True)
    # Recipients a second, and a day (null: any number), as the provider told.
    max_rate = models.FloatField()
    daily_quota = models.FloatField(null=True)
    # What it had taken in the 24 hours before it was asked, and what it was given since.
    sent_24h = models.FloatField(default=0, db_default=0)
    sent_since = models.FloatField(default=0, db_default=0)
    # Below zero is debt, for mail with more recipients than there were tokens.
    tokens = models.FloatField(default=0, db_default=0)
    filled_at = models.DateTimeField(db_default=Now())
    # Which part of `max_rate` is used; less than all of it after throttling.
    factor = models.FloatField(default=1, db_default=1)
    factor_at = models.DateTimeField(db_default=Now())
    # Calls of the last seconds and the throttled among them; the older, the less they count.
    calls = models.FloatField(default=0, db_default=0)
    throttled = models.FloatField(default=0, db_default=0)
    # When they last were too many.
    throttled_at = models.DateTimeField(null=True)
    # When the provider is asked again; it told something at `refreshed_at`.
    refresh_at = models.DateTimeField(db_default=Now())
    refreshed_at = models.DateTimeField(null=True)
    # The daily quota is used up: nothing is sent before the look at this time.
    paused_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "send_rates"

    def __str__(self) -> str:
        return self.name
