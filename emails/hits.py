"""Hits become facts about emails: judged, counted and published together."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from core.times import iso
from core.work import Settlement
from emails.models import Email, EmailRecipient
from emails.reports import Report, take_in
from tracking.hits import judged
from tracking.models import Hit
from tracking.verdicts import Verdict

BATCH = 500
_TYPES = {Hit.Kind.OPEN.value: ("opened", "open"), Hit.Kind.CLICK.value: ("clicked", "click")}


def take_in_hits() -> int:
    """Judge a batch of those that have waited for their company; how many were claimed.

    What it brings and that it is done commit together, so a worker that dies has done nothing.
    """
    hits = Hit.objects.claim(limit=BATCH)
    if not hits:
        return 0
    with transaction.atomic():
        sent_at = _sent_at(hits)
        verdicts = judged(hits, sent_at)
        ours = Hit.objects.settle(
            [
                Settlement(hit, changes={"verdict": verdict.kind, "reasons": list(verdict.reasons)})
                for hit, verdict in zip(hits, verdicts, strict=True)
            ]
        )
        addresses = _addresses(hits)
        take_in(
            [
                _report(hit, verdict, addresses.get(hit.recipient_id, ""), sent_at)
                for hit, verdict in zip(hits, verdicts, strict=True)
                if hit.pk in ours and hit.kind in _TYPES and not hit.is_exhausted
            ]
        )
    return len(hits)


def _sent_at(hits: Sequence[Hit]) -> dict[UUID, datetime | None]:
    emails = Email.objects.filter(pk__in={hit.email_id for hit in hits})
    return dict(emails.values_list("pk", "sent_at"))


def _addresses(hits: Sequence[Hit]) -> dict[UUID | None, str]:
    named = {hit.recipient_id for hit in hits if hit.recipient_id}
    if not named:
        return {}
    return dict(EmailRecipient.objects.filter(pk__in=named).values_list("pk", "address"))


def _report(
    hit: Hit, verdict: Verdict, address: str, sent_at: dict[UUID, datetime | None]
) -> Report:
    type_name, sub_object = _TYPES[hit.kind]
    told = _told(hit, verdict)
    return Report(
        email_id=hit.email_id,
        type=type_name,
        occurred_at=hit.at,
        recipient=address,
        key=str(hit.pk),
        payload=told,
        webhook={sub_object: told},
        # Who has the mail proves that it was sent, even if nobody else could tell.
        taken_at=None if sent_at.get(hit.email_id) else hit.at,
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
