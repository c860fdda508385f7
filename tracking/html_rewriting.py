"""Tracked mail: links lead by way of us, and a picture tells when it is shown.

Everything else of the HTML stays as it is, character for character.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from selectolax.lexbor import LexborHTMLParser

from tracking.html_scanner import Link, scan
from tracking.link_targets import target
from tracking.tokens import HONEYPOT, MAX_LINKS, Click, Open, sign_click, sign_open

OPT_OUT = "data-opensend-no-track"


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whose links they are; `recipient_id` is None when several get the same message."""

    email_id: UUID
    recipient_id: UUID | None


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def rewrite(
    html: str, whom: Addressee, *, opens: bool, clicks: bool, untouched: Collection[str] = ()
) -> str:
    """The HTML with what the two kinds of tracking ask for.

    Links stay as they are that lead to one of `untouched`, to us, or to where people unsubscribe.
    """
    found = scan(html)
    links = _trackable(html, found.links, untouched) if clicks else []
    edits = [
        _Edit(link.start, link.end, _click_url(whom, number, len(links), goal))
        for number, (link, goal) in enumerate(links, start=1)
    ]
    last = (_trap(whom, len(links)) if links else "") + (_picture(whom) if opens else "")
    return _edited(html, sorted([*edits, _Edit(found.tail, found.tail, last)]))


def our_url(path: str) -> str:
    return f"{settings.BASE_URL}/t/{path}"


def _trackable(html: str, links: list[Link], untouched: Collection[str]) -> list[tuple[Link, str]]:
    """Links and where they lead. Only those that a parser has too, which knows all contexts."""
    stay = {target(each) for each in untouched}
    tree = LexborHTMLParser(html).css("a[href], area[href]") if links else []
    real = {target(node.attributes["href"] or "") for node in tree} - stay
    goals = [(link, target(link.value)) for link in links if OPT_OUT not in link.attributes]
    return [(link, goal) for link, goal in goals if goal in real and goal and _is_followed(goal)][
        :MAX_LINKS
    ]


def _is_followed(goal: str) -> bool:
    return not goal.startswith(our_url("")) and "unsubscribe" not in goal.lower()


def _click_url(whom: Addressee, number: int, links: int, goal: str) -> str:
    said = Click(whom.email_id, whom.recipient_id, number, links, goal)
    return our_url(f"c/{sign_click(said)}")


def _trap(whom: Addressee, links: int) -> str:
    """A link that only programs find, which follow all that there are."""
    return (
        f'<a href="{_click_url(whom, HONEYPOT, links, "")}" aria-hidden="true" tabindex="-1"'
        ' style="display:none;mso-hide:all"></a>'
    )


def _picture(whom: Addressee) -> str:
    url = our_url(f"o/{sign_open(Open(whom.email_id, whom.recipient_id))}.gif")
    return f'<img src="{url}" alt="" width="1" height="1" style="border:0;width:1px;height:1px">'


def _edited(html: str, edits: list[_Edit]) -> str:
    parts, place = [], 0
    for edit in edits:
        parts += [html[place : edit.start], edit.text]
        place = edit.end
    return "".join([*parts, html[place:]])
