"""Encoded words in header fields (RFC 2047), as clients write them rather than as they should."""

import binascii
import re

from receiving.mime.charsets import decode

_WORD = re.compile(
    r"=\?(?P<charset>[A-Za-z0-9_.:()+-]++)(?:\*[A-Za-z0-9-]*+)?\?(?P<encoding>[BbQq])\?(?P<text>[^?]*+)\?="
)
_FOLDING = re.compile(r"\r?\n(?=[ \t])|\r?\n\Z")
_ESCAPED = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


def unfold(raw: bytes, charset: str = "") -> str:
    """The value of a field on one line (RFC 5322 section 2.2.3), without surrounding blanks.

    Octets outside ASCII are UTF-8 (RFC 6532), else in the message's charset, else detected.
    """
    return _FOLDING.sub("", decode(raw, charset)).strip(" \t\r\n")


def decode_words(text: str) -> str:
    """The text with its encoded words decoded; what is malformed stays as it is.

    Blanks between two words are dropped (section 6.2). Neighbours with one charset are decoded
    together: many clients split a character's octets between them.
    """
    if "=?" not in text:
        return text
    pieces: list[str] = []
    octets, charset, position = b"", "", 0
    for word in _WORD.finditer(text):
        gap = text[position : word.start()]
        is_neighbour = position > 0 and not gap.strip()
        if not is_neighbour or word["charset"].lower() != charset:
            pieces.append(decode(octets, charset))
            octets, charset = b"", word["charset"].lower()
        if not is_neighbour:
            pieces.append(gap)
        octets += _octets(word["encoding"], word["text"])
        position = word.end()
    return "".join([*pieces, decode(octets, charset), text[position:]])


def _octets(encoding: str, text: str) -> bytes:
    if encoding in "Qq":
        octets = text.replace("_", " ").encode()
        return _ESCAPED.sub(lambda escaped: bytes([int(escaped[1], 16)]), octets)
    digits = _NOT_BASE64.sub("", text)
    if len(digits) % 4 == 1:  # 6 bits are no octet
        digits = digits[:-1]
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))
