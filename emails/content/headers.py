"""Header fields as bytes on the wire (RFC 5322 section 2.2, RFC 2047).

Not written by `email.headerregistry`: it parses each value before it writes it, so an encoded
word in a subject that contains a line break would be decoded and break the line.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress

from emails.content.addresses import Mailbox
from emails.content.structured_headers import (
    bracketed,
    has_mailboxes,
    is_url_or_address,
    mailboxes,
    syntax_of,
)

_MAX_LINE = 998  # octets without CRLF, RFC 5322 section 2.1.1
_FOLD = "\r\n "
_WIDTH = 76  # of a line with encoded words, RFC 2047 section 2
_ENVELOPE = len("=?utf-8?b??=")
_PRINTABLE = re.compile(r"[\t -~]*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# Quotes and angle brackets would be legal in a quoted string, but naive parsers split at them.
_QUOTABLE = re.compile(r"[ !#-;=?-\[\]-~]+")
_IN_BRACKETS = re.compile(r"(<[^<>\s]+>)")


def text_field(name: str, value: str) -> str:
    """An unstructured field that decodes to exactly `value`, whatever it contains."""
    if "=?" in value or value != value.strip() or not value:
        return f"{name}: {_encode(value, len(name) + 2)}"
    return raw_field(name, value)


def custom_field(name: str, value: str) -> str:
    """A field that the caller chose, by the syntax of its name.

    The message of the ValueError continues "the header ...": what no line can hold, or what is not
    ASCII where the syntax allows nothing else.
    """
    if not value.strip():
        return f"{name}:"
    indent = len(name) + 2
    if has_mailboxes(name):
        return address_field(name, mailboxes(value))
    if syntax := syntax_of(name):
        return _fitting(
            f"{name}: {syntax(value, lambda text: _unfolded(_phrase(text, indent))).strip()}"
        )
    if _PRINTABLE.fullmatch(value):
        with suppress(_LineTooLongError):
            return _fitting(f"{name}: {value.strip()}")
    if any(is_url_or_address(each[1:-1]) for each in _IN_BRACKETS.findall(value)):
        return _fitting(f"{name}: {_encode_around(value, indent)}")
    return raw_field(name, value)


def raw_field(name: str, value: str) -> str:
    """ASCII is written unchanged, folded at whitespace; anything else is encoded."""
    if _PRINTABLE.fullmatch(value):
        with suppress(_LineTooLongError):
            return _fitting(f"{name}: {value.strip()}")
    return f"{name}: {_encode(value, len(name) + 2)}"


def address_field(name: str, mailboxes: Sequence[Mailbox]) -> str:
    """RFC 5322 section 3.4, one mailbox per line."""
    indent = len(name) + 2
    return f"{name}: " + f",{_FOLD}".join(_mailbox(each, indent) for each in mailboxes)


def _mailbox(mailbox: Mailbox, indent: int) -> str:
    if not mailbox.name:
        return mailbox.address
    phrase = _phrase(mailbox.name, indent)
    fits = indent + len(phrase.rpartition("\n")[2]) + len(mailbox.address) < _WIDTH
    return f"{phrase}{' ' if fits else _FOLD}<{mailbox.address}>"


def _phrase(name: str, indent: int) -> str:
    if "=?" in name or not _QUOTABLE.fullmatch(name):
        return _encode(name, indent)
    return name if _ATOMS.fullmatch(name) else f'"{name}"'


class _LineTooLongError(ValueError):
    pass


def _fitting(line: str) -> str:
    folded = _fold(line)
    if max(map(len, folded.split("\r\n"))) > _MAX_LINE:
        raise _LineTooLongError(
            f"has a part that is longer than the {_MAX_LINE} characters of a line (RFC 5322)"
        )
    return folded


def _encode_around(value: str, indent: int) -> str:
    """Encoded words for the text; URLs and addresses in angle brackets stay what they are."""
    parts = []
    for part in _IN_BRACKETS.split(value):
        if _IN_BRACKETS.fullmatch(part) and is_url_or_address(part[1:-1]):
            parts.append(bracketed(part[1:-1]))
        elif text := part.strip():
            is_plain = _PRINTABLE.fullmatch(text) and "=?" not in text
            parts.append(text if is_plain else _unfolded(_encode(text, indent)))
    return " ".join(parts)


def _unfolded(words: str) -> str:
    return words.replace(_FOLD, " ")


def _fold(line: str) -> str:
    """Lines of at most 78 characters, as far as there is whitespace to break them at."""
    name, *words = re.findall(r"[ \t]*[^ \t]+", line)
    # Never fold right after the name: some parsers keep that whitespace in the value.
    lines = [name + (words.pop(0) if words else "")]
    for word in words:
        if len(lines[-1]) + len(word) > 78:
            lines.append(word)
        else:
            lines[-1] += word
    return "\r\n".join(lines)


def _encode(value: str, indent: int) -> str:
    """Encoded words; whitespace between them is not part of the text."""
    words = []
    capacity = _capacity(indent)
    chunk = b""
    for character in value:
        octets = character.encode()
        if len(chunk) + len(octets) > capacity:
            words.append(_word(chunk))
            chunk, capacity = b"", _capacity(1)
        chunk += octets
    return _FOLD.join([*words, _word(chunk)])


def _capacity(indent: int) -> int:
    """How many octets fit into an encoded word that starts `indent` characters into a line."""
    return (_WIDTH - indent - _ENVELOPE) // 4 * 3


def _word(octets: bytes) -> str:
    return f"=?utf-8?b?{b64encode(octets).decode()}?=" if octets else ""
