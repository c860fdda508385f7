"""What came by of those who read the mail: people, and the machines before them."""

from uuid import UUID

from django.db import models
from django.db.models import Q

from core.db.ids import uuid7
from core.queue.work import WorkItem, WorkQuerySet


class HitQuerySet(WorkQuerySet["Hit"]):
    pass


class Hit(WorkItem):
    """One request for a picture or a link of a mail. Due until it is judged and told."""

    class Kind(models.TextChoices):
        OPEN = "open"
        CLICK = "click"
        HONEYPOT = "trap"  # the link that no person sees

    class Verdict(models.TextChoices):
        HUMAN = "human"
        MACHINE = "machine"
        UNKNOWN = "unknown"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    # On a higher floor, so ids and no foreign keys; without a recipient it is one of several.
    email_id: "models.UUIDField[UUID, UUID]" = models.UUIDField()
    recipient_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    # Which of how many links of the mail, and where it leads.
    link = models.PositiveIntegerField(default=0)
    links = models.PositiveIntegerField(default=0)
    target = models.CharField(max_length=2000, blank=True)
    user_agent = models.CharField(max_length=500, blank=True)
    # Where it came from, no closer than a /24 or /48.
    network = models.GenericIPAddressField(null=True)
    verdict = models.CharField(max_length=10, choices=Verdict, blank=True)
    # What speaks for a machine; until it is judged, what the request itself shows.
    reasons = models.JSONField(default=list)
    at = models.DateTimeField()

    objects = HitQuerySet.as_manager()

    class Meta:
        db_table = "hits"
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="", next_attempt_at__isnull=False)
                | (~Q(verdict="") & Q(next_attempt_at__isnull=True)),
                name="hits_due_until_judged",
            ),
        ]
        indexes = [
            # For claiming; what is judged is not in it.
            models.Index(
                fields=["next_attempt_at"],
                name="hits_due",
                condition=Q(next_attempt_at__isnull=False),
            ),
            # For what else came by of the same mail.
            models.Index(fields=["email_id", "at"], name="hits_of_email"),
            # For retention.
            models.Index(fields=["at"], name="hits_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M:%S}"
