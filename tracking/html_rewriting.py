"""Rewrites the HTML of tracked emails: links become click URLs, and an open pixel is added.

The rest of the HTML stays unchanged, character for character.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.conf import settings

from tracking.html_scanner import Link, scan
from tracking.link_targets import target
from tracking.tokens import HONEYPOT, MAX_LINKS, Click, Open, sign_click, sign_open

OPT_OUT = "data-opensend-no-track"


@dataclass(frozen=True, slots=True)
class TrackedRecipient:
    """The recipient the links belong to; `recipient_id` is None for a message to several."""

    email_id: UUID
    recipient_id: UUID | None


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def rewrite(
    html: str,
    addressee: TrackedRecipient,
    *,
    opens: bool,
    clicks: bool,
    excluded_urls: Collection[str] = (),
) -> str:
    """The HTML with open tracking, click tracking or both.

    Links to an address in `excluded_urls`, to our own tracking URLs, or with "unsubscribe" in their
    address are not rewritten.
    """
    document = scan(html)
    links = _trackable(document.links, excluded_urls) if clicks else []
    edits = [
        _Edit(link.start, link.end, _click_url(addressee, number, len(links), destination))
        for number, (link, destination) in enumerate(links, start=1)
    ]
    additions = (_honeypot(addressee, len(links)) if links else "") + (
        _open_pixel(addressee) if opens else ""
    )
    return _apply(html, sorted([*edits, _Edit(document.tail, document.tail, additions)]))


def our_url(path: str) -> str:
    return f"{settings.BASE_URL}/t/{path}"


def _trackable(links: list[Link], excluded_urls: Collection[str]) -> list[tuple[Link, str]]:
    """The links to rewrite, with their targets."""
    excluded = {target(url) for url in excluded_urls}
    candidates = [(link, target(link.value)) for link in links if OPT_OUT not in link.attributes]
    return [
        (link, url)
        for link, url in candidates
        if url and url not in excluded and _is_trackable(url)
    ][:MAX_LINKS]


def _is_trackable(url: str) -> bool:
    return not url.startswith(our_url("")) and "unsubscribe" not in url.lower()


def _click_url(addressee: TrackedRecipient, number: int, links: int, destination: str) -> str:
    click = Click(addressee.email_id, addressee.recipient_id, number, links, destination)
    return our_url(f"c/{sign_click(click)}")


def _honeypot(addressee: TrackedRecipient, links: int) -> str:
    """A hidden link that only programs follow."""
    return (
        f'<a href="{_click_url(addressee, HONEYPOT, links, "")}" aria-hidden="true" tabindex="-1"'
        ' style="display:none;mso-hide:all"></a>'
    )


def _open_pixel(addressee: TrackedRecipient) -> str:
    url = our_url(f"o/{sign_open(Open(addressee.email_id, addressee.recipient_id))}.gif")
    return f'<img src="{url}" alt="" width="1" height="1" style="border:0;width:1px;height:1px">'


def _apply(html: str, edits: list[_Edit]) -> str:
    parts, position = [], 0
    for edit in edits:
        parts += [html[position : edit.start], edit.text]
        position = edit.end
    return "".join([*parts, html[position:]])
