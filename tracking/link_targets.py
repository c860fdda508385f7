"""Normalises the target URLs of links for use in a redirect."""

import re
from urllib.parse import quote

import idna

# A click URL is about 1.5 times as long, and some mail clients only follow 2,083 characters.
MAX_LENGTH = 1400

_STRIPPED = "".join(map(chr, range(0x21)))
_REMOVED = re.compile(r"[\t\n\r]")
_HTTP_URL = re.compile(
    r"(?P<scheme>https?://)(?P<authority>[^/?#\\\s\"<>]+)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
# All ASCII that is valid in a header stays unescaped, so that browsers interpret it themselves.
_UNESCAPED = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"<>')


def target(value: str) -> str | None:
    """The `http` or `https` URL in a link's `href`, in ASCII; None for any other value."""
    # Removes the characters that the URL Standard ignores (section 4.4).
    match = _HTTP_URL.fullmatch(_REMOVED.sub("", value.strip(_STRIPPED)))
    if match is None:
        return None
    authority = _ascii(match["authority"])
    if authority is None:
        return None
    url = match["scheme"] + authority + quote(match["rest"], safe=_UNESCAPED)
    return url if len(url) <= MAX_LENGTH else None


def _ascii(authority: str) -> str | None:
    if authority.isascii():
        return authority
    user, at, server = authority.rpartition("@")
    host, colon, port = server.partition(":")
    try:
        return quote(user) + at + idna.encode(host, uts46=True).decode() + colon + port
    except idna.IDNAError:
        return None
