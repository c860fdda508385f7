"""Detects machines by the other clicks on the same email: scanners follow many links at once.

All costs are linear in the number of clicks read, which is bounded: anyone with a link can follow
it any number of times.
"""

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from tracking.models import Hit

BURST_WINDOW = timedelta(seconds=1)
# A hit is classified this long after it happened, when the clicks around it are recorded.
CLASSIFY_AFTER = 2 * BURST_WINDOW
# A client that follows the hidden link counts as a machine for this long afterwards.
HONEYPOT_MEMORY = timedelta(minutes=1)
# This many different links within the window, or all links of the email, are a burst.
BURST_LINKS = 3
# The most clicks that one call reads, newest first.
MAX_CLICKS_READ = 5000

_Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class ClickBursts:
    """When each client followed the hidden link, and when each reader clicked in a burst."""

    honeypot_clicks: dict[Hashable, list[datetime]]
    bursts: dict[Hashable, list[_Span]]

    @classmethod
    def of(cls, hits: Sequence[Hit]) -> "ClickBursts":
        """The bursts in the emails that these hits belong to; one statement."""
        honeypot_clicks: defaultdict[Hashable, list[datetime]] = defaultdict(list)
        clicks: defaultdict[Hashable, list[Hit]] = defaultdict(list)
        for row in _clicks_around(hits):
            if row.kind == Hit.Kind.HONEYPOT:
                honeypot_clicks[_client(row)].append(row.at)
            else:
                clicks[_reader(row)].append(row)
        return cls(
            honeypot_clicks, {reader: list(_bursts(rows)) for reader, rows in clicks.items()}
        )

    def has_honeypot_click(self, hit: Hit) -> bool:
        times = self.honeypot_clicks.get(_client(hit), [])
        index = bisect_left(times, hit.at - HONEYPOT_MEMORY)
        return index < len(times) and times[index] <= hit.at + CLASSIFY_AFTER

    def has_burst(self, hit: Hit) -> bool:
        spans = self.bursts.get(_reader(hit), [])
        # Spans start and end in the same order: this is the first that ends at or after the hit.
        index = bisect_left(spans, hit.at, key=lambda span: span[1])
        return index < len(spans) and spans[index][0] <= hit.at


def _clicks_around(hits: Sequence[Hit]) -> list[Hit]:
    """Clicks on the same emails around these hits, oldest first."""
    if not hits:
        return []
    rows = Hit.objects.filter(
        ~Q(kind=Hit.Kind.OPEN),
        email_id__in={hit.email_id for hit in hits},
        at__gte=min(hit.at for hit in hits) - HONEYPOT_MEMORY,
        at__lte=max(hit.at for hit in hits) + CLASSIFY_AFTER,
    )
    columns = ("kind", "email_id", "recipient_id", "link", "links", "network", "at")
    return list(rows.only(*columns).order_by("-at")[:MAX_CLICKS_READ])[::-1]


def _client(hit: Hit) -> Hashable:
    return hit.email_id, hit.recipient_id, hit.network


def _reader(hit: Hit) -> Hashable:
    """The recipient, because a scanner may use many networks; the network if that is unknown."""
    return hit.email_id, hit.recipient_id or hit.network


def _bursts(clicks: Iterable[Hit]) -> "Iterable[_Span]":
    """The spans within BURST_WINDOW in which one reader followed enough different links."""
    window: deque[Hit] = deque()
    links: Counter[int] = Counter()
    for click in clicks:
        window.append(click)
        links[click.link] += 1
        while click.at - window[0].at > BURST_WINDOW:
            expired = window.popleft().link
            links[expired] -= 1
            if not links[expired]:
                del links[expired]
        if len(links) >= min(max(click.links, 2), BURST_LINKS):
            yield window[0].at, click.at
