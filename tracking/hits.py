"""From a request to a hit, and from a hit to a verdict."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from core.ids import uuid7
from tracking.models import Hit
from tracking.networks import network_of
from tracking.tokens import HONEYPOT, Click, Open
from tracking.verdicts import Verdict, judge, signs_in

# A hit is judged a moment later, when it is known what else came by.
AT_ONCE = timedelta(seconds=1)
SETTLED_AFTER = 2 * AT_ONCE
# Nobody reads a mail so soon after it was handed to the provider.
TOO_SOON = timedelta(seconds=3)
# Who follows the hidden link is a machine for so long.
TRAPPED_FOR = timedelta(minutes=1)
# So many different links within a second, or all of them, are more than a person follows.
MANY = 3


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


def judged(hits: Sequence[Hit], sent_at: Mapping[UUID, datetime | None]) -> list[Verdict]:
    """What each hit was, by itself and by the others of its mail; one statement.

    `sent_at` says when the mails were handed over, as far as that is known.
    """
    others = _company(hits)
    return [
        judge(each.user_agent, [*each.reasons, *_signs(each, others, sent_at.get(each.email_id))])
        for each in hits
    ]


def _kind(said: Open | Click) -> Hit.Kind:
    if isinstance(said, Open):
        return Hit.Kind.OPEN
    return Hit.Kind.TRAP if said.link == HONEYPOT else Hit.Kind.CLICK


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


Company = defaultdict[UUID, list[Hit]]


def _company(hits: Sequence[Hit]) -> Company:
    """By email, the clicks around the hits and who was trapped before."""
    found: Company = defaultdict(list)
    if hits:
        rows = Hit.objects.filter(
            ~Q(kind=Hit.Kind.OPEN),
            email_id__in={each.email_id for each in hits},
            at__gte=min(each.at for each in hits) - TRAPPED_FOR,
            at__lte=max(each.at for each in hits) + SETTLED_AFTER,
        )
        for row in rows.only("kind", "email_id", "recipient_id", "link", "network", "at"):
            found[row.email_id].append(row)
    return found


def _signs(hit: Hit, company: Company, sent_at: datetime | None) -> list[str]:
    others = [each for each in company[hit.email_id] if _may_be_one(each, hit)]
    signs = []
    if any(_is_trapped(hit, each) for each in others if each.kind == Hit.Kind.TRAP):
        signs.append("hidden_link")
    if hit.kind == Hit.Kind.CLICK and _is_in_a_burst(hit, others):
        signs.append("links_at_once")
    if sent_at and hit.at - sent_at < TOO_SOON:
        signs.append("right_after_sending")
    return signs


def _may_be_one(other: Hit, hit: Hit) -> bool:
    """Whether the same client may be behind both: scanners have many addresses, people readers."""
    if hit.recipient_id:
        return other.recipient_id == hit.recipient_id
    return other.network == hit.network


def _is_trapped(hit: Hit, trap: Hit) -> bool:
    return trap.network == hit.network and -SETTLED_AFTER <= hit.at - trap.at <= TRAPPED_FOR


def _is_in_a_burst(hit: Hit, others: Sequence[Hit]) -> bool:
    clicked = [each for each in others if each.kind == Hit.Kind.CLICK]
    enough = min(max(hit.links, 2), MANY)
    # Within the second that ends, or that begins, with this click or with one around it.
    starts = [each.at for each in clicked if timedelta(0) <= hit.at - each.at <= AT_ONCE]
    return any(
        len({each.link for each in clicked if start <= each.at <= start + AT_ONCE}) >= enough
        for start in starts
    )
