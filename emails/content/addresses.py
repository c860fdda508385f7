"""Mailboxes as callers write them: `a@b` or `Name <a@b>` (RFC 5322 section 3.4).

Exactly one mailbox a string, so a comma or an unquoted special in a display name is no puzzle.
"""

import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import NamedTuple

from core.addresses import identity, normalise

__all__ = ["CONTROL", "Mailbox", "identity", "normalise", "parse"]

# C0, C1 and the separators of lines and paragraphs, at which some software breaks lines.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPECIALS = re.compile(r'[()<>\[\]:;@\\,."]')
# Laxer than RFC 2047 section 2, as readers of mail are.
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[qb]\?.*?\?=", re.IGNORECASE)
_LONGEST_GIVEN = 2000  # encoded words are longer than what they say
_LONGEST_NAME = 320
_LONGEST = 700  # as written, which is what the columns hold


class Mailbox(NamedTuple):
    """`address` is ASCII with a lower-case A-label domain; `name` may hold any script."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    def __str__(self) -> str:
        """For people and for the API: the name in its own script, quoted where RFC 5322 asks."""
        if not self.name:
            return self.address
        if not _SPECIALS.search(self.name):
            return f"{self.name} <{self.address}>"
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{self.address}>'


def parse(given: str) -> Mailbox:
    """ValueError says what is wrong, in words that continue "the field ...".

    Of addresses, it takes those that core.addresses does.
    """
    if len(given) > _LONGEST_GIVEN:
        raise ValueError(f"must have at most {_LONGEST_GIVEN:,} characters")
    _refuse_control(given)
    name, address = _parted(given.strip())
    mailbox = Mailbox(_decoded(_unquoted(name)), normalise(address))
    if len(mailbox.name) > _LONGEST_NAME or len(str(mailbox)) > _LONGEST:
        raise ValueError(f"has a display name of more than {_LONGEST_NAME} characters")
    return mailbox


def _parted(given: str) -> tuple[str, str]:
    """`Name <a@b>` as its name and its address; all is the address when there is no such name."""
    name, angle, address = given.removesuffix(">").rpartition("<")
    if not angle or not given.endswith(">") or ">" in address:
        return "", given
    return name.strip(), address.strip()


def _refuse_control(text: str) -> None:
    if CONTROL.search(text):
        raise ValueError("must not contain control characters such as line breaks")


def _unquoted(name: str) -> str:
    if len(name) >= 2 and name[0] == name[-1] == '"':
        return re.sub(r"\\(.)", r"\1", name[1:-1]).strip()
    return name


def _decoded(name: str) -> str:
    """The words behind RFC 2047's encoded words, which could hide what is refused in the clear."""
    if not _ENCODED_WORD.search(name):
        return name
    try:
        words = str(make_header(decode_header(name))).strip()
        words.encode()
    except (HeaderParseError, LookupError, UnicodeError):
        raise ValueError("has a display name with a malformed encoded word") from None
    _refuse_control(words)
    if _ENCODED_WORD.search(words):
        raise ValueError("has a display name with an encoded word inside another")
    return words
