"""Hits become facts about emails: judged, counted and published together."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from core.queue.work import Settlement
from core.times import iso
from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailRecipient
from tracking.bot_detection import Verdict
from tracking.hits import classify_hits
from tracking.models import Hit

BATCH = 500
# Opens, and clicks, of one mail that are told and counted: who has a link can follow it for ever.
MOST = 10_000


class _Words(NamedTuple):
    """What a kind of hit becomes: its fact's type, the event's sub-object, the count's column."""

    type: str
    sub_object: str
    column: str


_TOLD = {
    Hit.Kind.OPEN.value: _Words("opened", "open", "opens"),
    Hit.Kind.CLICK.value: _Words("clicked", "click", "clicks"),
}


def record_hits() -> int:
    """Judge a batch of those that have waited for their company; how many were claimed.

    What it brings and that it is done commit together, so a worker that dies has done nothing.
    """
    hits = Hit.objects.claim(limit=BATCH)
    if not hits:
        return 0
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
                _report(hit, verdict, emails[hit.email_id], addresses.get(hit.recipient_id, ""))
                for hit, verdict in zip(hits, verdicts, strict=True)
                if hit.pk in ours and _is_told(hit, emails.get(hit.email_id))
            ]
        )
    return len(hits)


def _is_told(hit: Hit, email: Email | None) -> bool:
    if email is None or hit.is_poisoned or hit.kind not in _TOLD:
        return False
    so_far: int = getattr(email, _TOLD[hit.kind].column)
    return so_far < MOST


def _addresses(hits: Sequence[Hit]) -> dict[UUID | None, str]:
    named = {hit.recipient_id for hit in hits if hit.recipient_id}
    if not named:
        return {}
    return dict(EmailRecipient.objects.filter(pk__in=named).values_list("pk", "address"))


def _report(hit: Hit, verdict: Verdict, email: Email, address: str) -> EmailFact:
    words = _TOLD[hit.kind]
    told = _told(hit, verdict)
    return EmailFact(
        email_id=hit.email_id,
        type=words.type,
        occurred_at=hit.at,
        recipient=address,
        key=str(hit.pk),
        payload=told,
        webhook={words.sub_object: told},
        # Who has the mail proves that it was sent, even if nobody else could tell.
        taken_at=None if email.sent_at else hit.at,
    )


def _told(hit: Hit, verdict: Verdict) -> dict[str, Any]:
    """In the provider's words for the same; without the network, which is forgotten sooner."""
    told: dict[str, Any] = {"timestamp": iso(hit.at), "userAgent": hit.user_agent}
    if hit.kind == Hit.Kind.CLICK:
        told |= {"link": hit.target, "linkTags": None}
    return told | {
        "machine": verdict.is_machine,
        "verdict": verdict.kind,
        "reasons": list(verdict.reasons),
    }
