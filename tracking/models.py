"""Hits: requests for the open pixel and the links of emails, by people and machines."""

from uuid import UUID

from django.db import models
from django.db.models import Q

from core.db.ids import uuid7
from core.queue.work import WorkItem, WorkQuerySet


class HitQuerySet(WorkQuerySet["Hit"]):
    pass


class Hit(WorkItem):
    """One request for the open pixel or a link of an email. Due until classified and published."""

    class Kind(models.TextChoices):
        OPEN = "open"
        CLICK = "click"
        HONEYPOT = "trap"  # the hidden link

    class Verdict(models.TextChoices):
        HUMAN = "human"
        MACHINE = "machine"
        UNKNOWN = "unknown"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    # `emails` is a higher layer, so these are plain ids, not foreign keys. The recipient is null
    # for a message to several.
    email_id: "models.UUIDField[UUID, UUID]" = models.UUIDField()
    recipient_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    # The number of the link, how many links the email has, and the target URL.
    link = models.PositiveIntegerField(default=0)
    links = models.PositiveIntegerField(default=0)
    target = models.CharField(max_length=2000, blank=True)
    user_agent = models.CharField(max_length=500, blank=True)
    # The client's network, truncated to a /24 or /48.
    network = models.GenericIPAddressField(null=True)
    verdict = models.CharField(max_length=10, choices=Verdict, blank=True)
    # The signals of a machine; before classification, only those in the request itself.
    reasons = models.JSONField(default=list)
    at = models.DateTimeField()

    objects = HitQuerySet.as_manager()

    class Meta:
        db_table = "hits"
        verbose_name = "open or click"
        verbose_name_plural = "opens and clicks"
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="", next_attempt_at__isnull=False)
                | (~Q(verdict="") & Q(next_attempt_at__isnull=True)),
                name="hits_due_until_classified",
            ),
        ]
        indexes = [
            # For claiming; classified hits are not in it.
            models.Index(
                fields=["next_attempt_at"],
                name="hits_due",
                condition=Q(next_attempt_at__isnull=False),
            ),
            # For the other hits of the same email.
            models.Index(fields=["email_id", "at"], name="hits_of_email"),
            # For retention.
            models.Index(fields=["at"], name="hits_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M:%S}"
