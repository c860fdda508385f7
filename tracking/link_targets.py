"""Addresses that a link may lead to, in the form in which a redirect names them."""

import re
from urllib.parse import quote

import idna

# A link by way of us is half as long again, and some mail programs follow up to 2,083 characters.
MAX_LENGTH = 1400

_BLANK_ENDS = "".join(map(chr, range(0x21)))
_IGNORED = re.compile(r"[\t\n\r]")
_WEB = re.compile(
    r"(?P<scheme>https?://)(?P<authority>[^/?#\\\s\"<>]+)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
# All of ASCII that may stand in a header as it is: what browsers make of it is not our business.
_AS_IT_IS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"<>')


def target(value: str) -> str | None:
    """The `http` or `https` address of a link's `href`, in ASCII; None for all other values."""
    # What the URL standard ignores (section 4.4).
    web = _WEB.fullmatch(_IGNORED.sub("", value.strip(_BLANK_ENDS)))
    if web is None:
        return None
    authority = _ascii(web["authority"])
    if authority is None:
        return None
    url = web["scheme"] + authority + quote(web["rest"], safe=_AS_IT_IS)
    return url if len(url) <= MAX_LENGTH else None


def _ascii(authority: str) -> str | None:
    if authority.isascii():
        return authority
    user, at, place = authority.rpartition("@")
    host, colon, port = place.partition(":")
    try:
        return quote(user) + at + idna.encode(host, uts46=True).decode() + colon + port
    except idna.IDNAError:
        return None
