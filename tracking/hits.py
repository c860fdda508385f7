"""From a request to a hit, and from a hit to a verdict."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from core.db.ids import uuid7
from tracking.bot_detection import Verdict, classify, signs_in
from tracking.click_bursts import SETTLED_AFTER, ClickBursts
from tracking.models import Hit
from tracking.networks import network_of
from tracking.tokens import HONEYPOT, Click, Open

# Nobody reads a mail so soon after it was handed to the provider.
TOO_SOON = timedelta(seconds=3)


def hit(request: HttpRequest, said: Open | Click) -> Hit:
    """What the request tells, in a row that is not written yet."""
    now = timezone.now()
    row = Hit(
        id=uuid7(),
        kind=_kind(said),
        email_id=said.email_id,
        recipient_id=said.recipient_id,
        user_agent=_printable(request.headers.get("User-Agent", ""))[:500],
        network=network_of(request),
        reasons=signs_in(request.method or "", request.headers),
        at=now,
        next_attempt_at=now + SETTLED_AFTER,
    )
    if isinstance(said, Click):
        row.link, row.links, row.target = said.link, said.links, said.target
    return row


def classify_hits(hits: Sequence[Hit], sent_at: Mapping[UUID, datetime | None]) -> list[Verdict]:
    """What each hit was, by itself and by the others of its mail; one statement.

    `sent_at` says when the mails were handed over, as far as that is known.
    """
    company = ClickBursts.of(hits)
    return [
        classify(
            each.user_agent, [*each.reasons, *_signs(each, company, sent_at.get(each.email_id))]
        )
        for each in hits
    ]


def _kind(said: Open | Click) -> Hit.Kind:
    if isinstance(said, Open):
        return Hit.Kind.OPEN
    return Hit.Kind.HONEYPOT if said.link == HONEYPOT else Hit.Kind.CLICK


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


def _signs(hit: Hit, company: ClickBursts, sent_at: datetime | None) -> list[str]:
    signs = []
    if company.has_trapped(hit):
        signs.append("hidden_link")
    if hit.kind == Hit.Kind.CLICK and company.has_burst(hit):
        signs.append("links_at_once")
    if sent_at and hit.at - sent_at < TOO_SOON:
        signs.append("right_after_sending")
    return signs
