"""What else came by of the same mail around a hit: machines follow many links, and all at once.

Everything here takes time by the number of hits that are looked at, and that has a bound: who has
a link can follow it as often as they like.
"""

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from tracking.models import Hit

AT_ONCE = timedelta(seconds=1)
# A hit is judged so much later, when it is known who else came by.
SETTLED_AFTER = 2 * AT_ONCE
# Who follows the hidden link is a machine for so long.
TRAPPED_FOR = timedelta(minutes=1)
# So many different links within a second, or all of them, are more than a person follows.
MANY = 3
# The newest are looked at.
MOST = 5000

_Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class ClickBursts:
    """When the hidden link was followed by whom, and when whom followed too many of the others."""

    trapped: dict[Hashable, list[datetime]]
    bursts: dict[Hashable, list[_Span]]

    @classmethod
    def of(cls, hits: Sequence[Hit]) -> "ClickBursts":
        """Of the mails that the hits are of; one statement."""
        trapped: defaultdict[Hashable, list[datetime]] = defaultdict(list)
        clicks: defaultdict[Hashable, list[Hit]] = defaultdict(list)
        for row in _around(hits):
            if row.kind == Hit.Kind.HONEYPOT:
                trapped[_client(row)].append(row.at)
            else:
                clicks[_reader(row)].append(row)
        return cls(trapped, {reader: list(_bursts(rows)) for reader, rows in clicks.items()})

    def has_trapped(self, hit: Hit) -> bool:
        times = self.trapped.get(_client(hit), [])
        place = bisect_left(times, hit.at - TRAPPED_FOR)
        return place < len(times) and times[place] <= hit.at + SETTLED_AFTER

    def has_burst(self, hit: Hit) -> bool:
        spans = self.bursts.get(_reader(hit), [])
        # They begin and end in the same order, so this is the first that isn't over by then.
        place = bisect_left(spans, hit.at, key=lambda span: span[1])
        return place < len(spans) and spans[place][0] <= hit.at


def _around(hits: Sequence[Hit]) -> list[Hit]:
    """Clicks of the same mails, the oldest first."""
    if not hits:
        return []
    rows = Hit.objects.filter(
        ~Q(kind=Hit.Kind.OPEN),
        email_id__in={each.email_id for each in hits},
        at__gte=min(each.at for each in hits) - TRAPPED_FOR,
        at__lte=max(each.at for each in hits) + SETTLED_AFTER,
    )
    columns = ("kind", "email_id", "recipient_id", "link", "links", "network", "at")
    return list(rows.only(*columns).order_by("-at")[:MOST])[::-1]


def _client(hit: Hit) -> Hashable:
    return hit.email_id, hit.recipient_id, hit.network


def _reader(hit: Hit) -> Hashable:
    """A scanner may have many addresses; where the reader isn't known it is told by them."""
    return hit.email_id, hit.recipient_id or hit.network


def _bursts(clicks: Iterable[Hit]) -> "Iterable[_Span]":
    """The spans of a second or less in which enough different links of one mail were followed."""
    window: deque[Hit] = deque()
    links: Counter[int] = Counter()
    for click in clicks:
        window.append(click)
        links[click.link] += 1
        while click.at - window[0].at > AT_ONCE:
            gone = window.popleft().link
            links[gone] -= 1
            if not links[gone]:
                del links[gone]
        if len(links) >= min(max(click.links, 2), MANY):
            yield window[0].at, click.at
