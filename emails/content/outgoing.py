"""Adds tracking and List-Unsubscribe to the copy of an email that is sent.

The row stays as the caller wrote it.
"""

from copy import copy

from emails.content.html_to_text import html_to_text
from emails.content.outgoing_message import UNSUBSCRIBE_HEADER
from emails.content.placeholder import replace_placeholder
from emails.models import Email, EmailRecipient
from tracking.html_rewriting import TrackedRecipient, our_url, rewrite
from tracking.tokens import Unsubscribe, sign_unsubscribe

_LIST_UNSUBSCRIBE = "List-Unsubscribe"


def add_tracking(email: Email, sole_recipient: EmailRecipient | None) -> Email:
    """A copy with tracked links, an open pixel and List-Unsubscribe, as far as it asks for them.

    `sole_recipient` is None if several recipients get this message: hits are then not attributed
    to any of them.
    """
    if not (email.open_tracking or email.click_tracking or email.unsubscribe):
        return email
    outgoing = copy(email)
    if email.unsubscribe and sole_recipient:
        _add_list_unsubscribe(outgoing, sole_recipient)
    if email.html and (email.open_tracking or email.click_tracking):
        if not outgoing.html_only:
            outgoing.text = outgoing.text or html_to_text(outgoing.html)
        outgoing.html = _rewrite_html(outgoing, sole_recipient)
    return outgoing


def _add_list_unsubscribe(outgoing: Email, recipient: EmailRecipient) -> None:
    """One-click unsubscribe (RFC 8058), and the URL in place of the sender's placeholders."""
    request = Unsubscribe(outgoing.workspace_id, outgoing.pk, recipient.address)
    url = our_url(f"u/{sign_unsubscribe(request)}")
    outgoing.html = replace_placeholder(outgoing.html, url)
    outgoing.text = replace_placeholder(outgoing.text, url)
    kept = {
        name: value
        for name, value in outgoing.headers.items()
        if name.lower() != UNSUBSCRIBE_HEADER
    }
    outgoing.headers = kept | {
        _LIST_UNSUBSCRIBE: f"<{url}>",
        f"{_LIST_UNSUBSCRIBE}-Post": "List-Unsubscribe=One-Click",
    }


def _rewrite_html(outgoing: Email, sole_recipient: EmailRecipient | None) -> str:
    return rewrite(
        outgoing.html,
        TrackedRecipient(outgoing.pk, sole_recipient.pk if sole_recipient else None),
        opens=outgoing.open_tracking,
        clicks=outgoing.click_tracking,
        excluded_urls=_unsubscribe_urls(outgoing.headers),
    )


def _unsubscribe_urls(headers: dict[str, str]) -> list[str]:
    """The URLs in List-Unsubscribe: `<mailto:...>, <https://...>` (RFC 2369 section 3.2)."""
    values = (value for name, value in headers.items() if name.lower() == "list-unsubscribe")
    return [part.strip(" \t<>") for value in values for part in value.split(",")]
