"""Turns hits into facts about emails: classified, counted and published in one transaction."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from core.queue.queues import Batch
from core.queue.wake import pass_on
from core.queue.work import Settlement
from emails import queues
from emails.facts.constructors import opened_or_clicked
from emails.facts.record import record_facts
from emails.models import Email, EmailRecipient
from tracking.hits import classify_hits
from tracking.models import Hit

BATCH = 500
# The most opens, and clicks, that one email records: its links can be followed forever.
MAX_PER_EMAIL = 10_000

_COUNTERS = {Hit.Kind.OPEN.value: "opens", Hit.Kind.CLICK.value: "clicks"}


def record_hits() -> Batch:
    """Classify one batch of due hits and record them as facts.

    The facts and the settlement commit together, so a worker that crashes has recorded nothing. A
    poisoned hit is settled without a fact and counts as failed.
    """
    hits = Hit.objects.claim(limit=BATCH)
    pass_on(queues.RECORD_HITS.task, claimed=len(hits), limit=BATCH)
    if not hits:
        return Batch(0)
    with transaction.atomic():
        emails = Email.objects.only("sent_at", "opens", "clicks").in_bulk(
            {hit.email_id for hit in hits}
        )
        verdicts = classify_hits(hits, {pk: email.sent_at for pk, email in emails.items()})
        ours = Hit.objects.settle(
            [
                Settlement(hit, changes={"verdict": verdict.kind, "reasons": list(verdict.reasons)})
                for hit, verdict in zip(hits, verdicts, strict=True)
            ]
        )
        addresses = _addresses(hits)
        record_facts(
            [
                opened_or_clicked(
                    hit,
                    verdict,
                    emails[hit.email_id],
                    address=addresses.get(hit.recipient_id, ""),
                )
                for hit, verdict in zip(hits, verdicts, strict=True)
                if hit.pk in ours and _is_recorded(hit, emails.get(hit.email_id))
            ]
        )
    poisoned = sum(hit.is_poisoned for hit in hits if hit.pk in ours)
    return Batch(len(hits), processed=len(ours) - poisoned, failed=poisoned)


def _is_recorded(hit: Hit, email: Email | None) -> bool:
    if email is None or hit.is_poisoned or hit.kind not in _COUNTERS:
        return False
    count: int = getattr(email, _COUNTERS[hit.kind])
    return count < MAX_PER_EMAIL


def _addresses(hits: Sequence[Hit]) -> dict[UUID | None, str]:
    recipient_ids = {hit.recipient_id for hit in hits if hit.recipient_id}
    if not recipient_ids:
        return {}
    return dict(EmailRecipient.objects.filter(pk__in=recipient_ids).values_list("pk", "address"))
