"""Decodes base64, quoted-printable and uuencode (RFC 2045 section 6)."""

import binascii
import re
from collections.abc import Callable, Iterator
from contextlib import suppress

from receiving.mime.header_fields import Octets

CHUNK = 256 * 1024  # octets

_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
)
# Blanks at the end of a line were added on the way (rule 3).
_TRAILING_BLANKS = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_IDENTITY = {"", "7bit", "8bit", "binary"}


def decoded(octets: Octets, start: int, end: int, encoding: str) -> Iterator[bytes]:
    """The content in chunks of about CHUNK octets. Octets that the encoding doesn't allow are
    skipped, and an unknown encoding is none."""
    chunks = (octets[at : min(at + CHUNK, end)] for at in range(start, end, CHUNK))
    return _DECODERS.get(encoding, iter)(chunks)


def is_known(encoding: str) -> bool:
    return encoding in _IDENTITY or encoding in _DECODERS


def _from_base64(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Ends at the first padding, as clients do: a mailing list's footer may follow."""
    rest = b""
    for chunk in chunks:
        digits = rest + chunk.translate(None, _NOT_BASE64)
        if (padding := digits.find(b"=")) >= 0:
            rest = digits[:padding]
            break
        whole = len(digits) // 4 * 4
        yield binascii.a2b_base64(digits[:whole])
        rest = digits[whole:]
    whole = len(rest) - (len(rest) % 4 == 1)  # 6 bits are no octet
    yield binascii.a2b_base64(rest[:whole] + b"=" * (-whole % 4))


def _from_quoted_printable(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        octets = rest + chunk
        # Neither a line's trailing blanks nor an escape may be cut.
        cut = octets.rfind(b"\n") + 1 or _before_escape(octets)
        yield _decode_quoted_printable(octets[:cut])
        rest = octets[cut:]
    yield _decode_quoted_printable(rest)


def _decode_quoted_printable(octets: bytes) -> bytes:
    return binascii.a2b_qp(_TRAILING_BLANKS.sub(b"", octets))


def _before_escape(octets: bytes) -> int:
    escape = octets.rfind(b"=", max(len(octets) - 3, 0))
    return escape if escape >= 0 else len(octets)


def _from_uuencode(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield b"".join(map(uudecode_line, lines))
    yield uudecode_line(rest)


def uudecode_line(line: bytes) -> bytes:
    """The octets of one line; b"" for `begin`, `end` and what is no such line."""
    line = line.rstrip(b"\r")
    if not line or line.startswith((b"begin ", b"end")):
        return b""
    with suppress(binascii.Error):
        return binascii.a2b_uu(line)
    # Some encoders count wrongly; the length of a line is in its first character.
    with suppress(binascii.Error, IndexError):
        digits = (((line[0] - 32) & 63) * 4 + 5) // 3
        return binascii.a2b_uu(line[:digits])
    return b""


_DECODERS: dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    "base64": _from_base64,
    "quoted-printable": _from_quoted_printable,
    "x-uuencode": _from_uuencode,
    "x-uue": _from_uuencode,
    "uuencode": _from_uuencode,
    "uue": _from_uuencode,
}
