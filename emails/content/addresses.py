"""Parses mailboxes as callers write them: `a@b` or `Name <a@b>` (RFC 5322 section 3.4).

One mailbox per string, so a comma or an unquoted special in a display name is unambiguous.
"""

import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import NamedTuple

from core.addresses import identity, normalise

__all__ = ["CONTROL", "Mailbox", "identity", "normalise", "parse", "written"]

# C0, C1, and the line and paragraph separators, which some software treats as line breaks.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPECIALS = re.compile(r'[()<>\[\]:;@\\,."]')
# Laxer than RFC 2047 section 2, like mail clients.
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[qb]\?.*?\?=", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*+"')
# An address, and what separates it from the next mailbox.
_ANOTHER = re.compile(r"[^\s<>,;]@[^\s<>,;]+>?\s*[,;]")
_MAX_INPUT = 2000  # encoded words are longer than their text
_MAX_NAME = 320
_MAX_LENGTH = 700  # of the columns that store it


class Mailbox(NamedTuple):
    """`address` is ASCII with a lower-case A-label domain; `name` may hold any script."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    def __str__(self) -> str:
        return written(self.name, self.address)


def written(name: str, address: str) -> str:
    """For people and the API: the name in its own script, quoted where RFC 5322 requires it."""
    if not name:
        return address
    if not _SPECIALS.search(name):
        return f"{name} <{address}>"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'


def parse(text: str) -> Mailbox:
    """Accepts the addresses that core.addresses accepts.

    The message of the ValueError continues "the field ...".
    """
    if len(text) > _MAX_INPUT:
        raise ValueError(f"must have at most {_MAX_INPUT:,} characters")
    _reject_control(text)
    name, address = _split(text.strip())
    _reject_another(name)
    mailbox = Mailbox(_decode(_unquote(name)), normalise(address))
    if len(mailbox.name) > _MAX_NAME or len(str(mailbox)) > _MAX_LENGTH:
        raise ValueError(f"has a display name of more than {_MAX_NAME} characters")
    return mailbox


def _split(text: str) -> tuple[str, str]:
    """`Name <a@b>` as name and address; without angle brackets the whole text is the address."""
    name, angle, address = text.removesuffix(">").rpartition("<")
    if not angle or not text.endswith(">") or ">" in address:
        return "", text
    return name.strip(), address.strip()


def _reject_another(name: str) -> None:
    """`Ann <ann@x>, Bob <bob@x>` is no name of Bob's: Ann would silently get no mail."""
    if _ANOTHER.search(_QUOTED.sub("", name)):
        raise ValueError(
            "must be one mailbox: several are a list, and a name with an address in it needs quotes"
        )


def _reject_control(text: str) -> None:
    if CONTROL.search(text):
        raise ValueError("must not contain control characters such as line breaks")


def _unquote(name: str) -> str:
    if len(name) >= 2 and name[0] == name[-1] == '"':
        return re.sub(r"\\(.)", r"\1", name[1:-1]).strip()
    return name


def _decode(name: str) -> str:
    """Decode RFC 2047 encoded words: they could hide what is refused in plain text."""
    if not _ENCODED_WORD.search(name):
        return name
    try:
        decoded = str(make_header(decode_header(name))).strip()
        decoded.encode()
    except (HeaderParseError, LookupError, UnicodeError):
        raise ValueError("has a display name with a malformed encoded word") from None
    _reject_control(decoded)
    if _ENCODED_WORD.search(decoded):
        raise ValueError("has a display name with an encoded word inside another")
    return decoded
