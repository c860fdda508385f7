"""What mail is given on its way out, where its domain or its sender asks for it.

Its row stays as the caller wrote it: this is about the copy that goes to the provider.
"""

from copy import copy

from emails.api.bodies import UNSUBSCRIBE_HEADER, UNSUBSCRIBE_URL
from emails.content.html_to_text import as_text
from emails.models import Email, EmailRecipient
from tracking.html_rewriting import Addressee, our_url, rewrite
from tracking.tokens import Unsubscribe, sign_unsubscribe

_LIST_UNSUBSCRIBE = "List-Unsubscribe"


def prepared(email: Email, only: EmailRecipient | None) -> Email:
    """The email with tracked links, a picture that tells when it is opened, and a way out.

    `only` is the one who gets this message; None when several do, who are not told apart then.
    """
    if not (email.open_tracking or email.click_tracking or email.unsubscribe):
        return email
    sent = copy(email)
    if email.unsubscribe and only:
        _offer_a_way_out(sent, only)
    if email.html and (email.open_tracking or email.click_tracking):
        sent.text = sent.text or as_text(sent.html)
        sent.html = _tracked(sent, only)
    return sent


def _offer_a_way_out(sent: Email, only: EmailRecipient) -> None:
    """RFC 8058: by one click in the mail program, and wherever the sender has put the address."""
    said = Unsubscribe(sent.workspace_id, sent.pk, only.address)
    url = our_url(f"u/{sign_unsubscribe(said)}")
    sent.html = sent.html.replace(UNSUBSCRIBE_URL, url)
    sent.text = sent.text.replace(UNSUBSCRIBE_URL, url)
    given = {
        name: value for name, value in sent.headers.items() if name.lower() != UNSUBSCRIBE_HEADER
    }
    sent.headers = given | {
        _LIST_UNSUBSCRIBE: f"<{url}>",
        f"{_LIST_UNSUBSCRIBE}-Post": "List-Unsubscribe=One-Click",
    }


def _tracked(sent: Email, only: EmailRecipient | None) -> str:
    return rewrite(
        sent.html,
        Addressee(sent.pk, only.pk if only else None),
        opens=sent.open_tracking,
        clicks=sent.click_tracking,
        untouched=_ways_out(sent.headers),
    )


def _ways_out(headers: dict[str, str]) -> list[str]:
    """The addresses in List-Unsubscribe: `<mailto:...>, <https://...>` (RFC 2369 section 3.2)."""
    named = (value for name, value in headers.items() if name.lower() == "list-unsubscribe")
    return [part.strip(" \t<>") for value in named for part in value.split(",")]
