"""Builds hits from requests and classifies them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from core.db.ids import uuid7
from tracking.bot_detection import Verdict, classify, signals_in_request
from tracking.click_bursts import CLASSIFY_AFTER, ClickBursts
from tracking.models import Hit
from tracking.networks import network_of
from tracking.tokens import HONEYPOT, Click, Open

# No person reads an email this soon after it was handed to the provider.
TOO_SOON_AFTER_SENDING = timedelta(seconds=3)


def hit(request: HttpRequest, token: Open | Click) -> Hit:
    """An unsaved hit from the request and its decoded token."""
    now = timezone.now()
    row = Hit(
        id=uuid7(),
        kind=_kind(token),
        email_id=token.email_id,
        recipient_id=token.recipient_id,
        user_agent=_printable(request.headers.get("User-Agent", ""))[:500],
        network=network_of(request),
        reasons=signals_in_request(request.method or "", request.headers),
        at=now,
        next_attempt_at=now + CLASSIFY_AFTER,
    )
    if isinstance(token, Click):
        row.link, row.links, row.target = token.link, token.links, token.target
    return row


def classify_hits(hits: Sequence[Hit], sent_at: Mapping[UUID, datetime | None]) -> list[Verdict]:
    """The verdict on each hit, from the hit itself and the other hits of its email; one statement.

    `sent_at` has the times at which emails were handed to the provider, where known.
    """
    bursts = ClickBursts.of(hits)
    return [
        classify(
            hit.user_agent, [*hit.reasons, *_bot_signals(hit, bursts, sent_at.get(hit.email_id))]
        )
        for hit in hits
    ]


def _kind(token: Open | Click) -> Hit.Kind:
    if isinstance(token, Open):
        return Hit.Kind.OPEN
    return Hit.Kind.HONEYPOT if token.link == HONEYPOT else Hit.Kind.CLICK


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _bot_signals(hit: Hit, bursts: ClickBursts, sent_at: datetime | None) -> list[str]:
    signals = []
    if bursts.has_honeypot_click(hit):
        signals.append("hidden_link")
    if hit.kind == Hit.Kind.CLICK and bursts.has_burst(hit):
        signals.append("links_at_once")
    if sent_at and hit.at - sent_at < TOO_SOON_AFTER_SENDING:
        signals.append("right_after_sending")
    return signals
