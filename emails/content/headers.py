"""Header fields as bytes on the wire (RFC 5322 section 2.2, RFC 2047).

Written here and not by `email.headerregistry`: that one reads each value before it writes it,
so an encoded word in a subject that spells out a line break would become one.
"""

import re
from base64 import b64encode
from collections.abc import Sequence

from emails.content.addresses import Mailbox

_MAX_LINE = 998  # octets without CRLF, RFC 5322 section 2.1.1
_FOLD = "\r\n "
_WIDTH = 76  # of a line with encoded words, RFC 2047 section 2
_ENVELOPE = len("=?utf-8?b??=")
_PRINTABLE = re.compile(r"[\t -~]*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_QUOTABLE = re.compile(r"[ -~]+")


def text_field(name: str, value: str) -> str:
    """An unstructured field whose reader sees `value` exactly, whatever is in it."""
    if "=?" in value or value != value.strip() or not value:
        return f"{name}: {_encoded(value, len(name) + 2)}"
    return raw_field(name, value)


def raw_field(name: str, value: str) -> str:
    """A field that is ASCII is written as it is, folded at its blanks; else it is encoded."""
    if _PRINTABLE.fullmatch(value):
        folded = _folded(f"{name}: {value.strip()}")
        if max(map(len, folded.split("\r\n"))) <= _MAX_LINE:
            return folded
    return f"{name}: {_encoded(value, len(name) + 2)}"


def address_field(name: str, mailboxes: Sequence[Mailbox]) -> str:
    """RFC 5322 section 3.4, a mailbox a line."""
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
        return _encoded(name, indent)
    if _ATOMS.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _folded(line: str) -> str:
    """Lines of at most 78 characters where there are blanks to break them at."""
    name, *words = re.findall(r"[ \t]*[^ \t]+", line)
    # Beside the name even if it is long: some readers keep the blank of a fold that comes first.
    lines = [name + (words.pop(0) if words else "")]
    for word in words:
        if len(lines[-1]) + len(word) > 78:
            lines.append(word)
        else:
            lines[-1] += word
    return "\r\n".join(lines)


def _encoded(value: str, indent: int) -> str:
    """Encoded words; the blanks between them are not part of what they say."""
    words = []
    room = _room(indent)
    piece = b""
    for character in value:
        octets = character.encode()
        if len(piece) + len(octets) > room:
            words.append(_word(piece))
            piece, room = b"", _room(1)
        piece += octets
    return _FOLD.join([*words, _word(piece)])


def _room(indent: int) -> int:
    """How many octets an encoded word may carry on a line that is `indent` characters in."""
    return (_WIDTH - indent - _ENVELOPE) // 4 * 3


def _word(octets: bytes) -> str:
    return f"=?utf-8?b?{b64encode(octets).decode()}?=" if octets else ""
