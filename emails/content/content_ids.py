"""Content-IDs of inline parts, and the `cid:` URLs in HTML that refer to them (RFC 2392).

Callers write ids with blanks or in any script, and refer to them raw, percent-encoded or escaped.
On the wire both ends are the same plain characters, since mail clients compare them as they are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from html import unescape
from unicodedata import normalize
from urllib.parse import unquote

_ATOM = r"[A-Za-z0-9_+=~-]+"
_DOT_ATOM = rf"{_ATOM}(?:\.{_ATOM})*"
# Valid in a Message-ID (RFC 5322 section 3.6.4), and in a URL without percent-encoding.
_PLAIN = re.compile(rf"{_DOT_ATOM}(?:@{_DOT_ATOM})?")
_MAX_LENGTH = 128  # characters of an id
_MAX_URL = 12 * _MAX_LENGTH  # percent-encoded UTF-8
# A quote in an attribute, as it is or escaped.
_QUOTE = r"""["']|&(?:quot|apos|\#0{0,5}3[49]|\#x0{0,5}2[27]);"""
# A URL ends where the quote or parenthesis before it is closed.
_URL = re.compile(
    rf"""
      (?P<before> (?P<quote> {_QUOTE} ) \s{{0,99}} )
      (?P<quoted> cid: .{{1,{_MAX_URL}}}? )           (?= \s{{0,99}} (?P=quote) )
    | (?<= \( )     cid: [^)]{{1,{_MAX_URL}}}         (?= \) )
    | (?<= [=\s,] ) cid: [^\s"'<>]{{1,{_MAX_URL}}}
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_UNQUOTED = re.compile(rf"(?<![\w-])cid:[^\s\"'<>(),]{{1,{_MAX_URL}}}", re.IGNORECASE)


def clean(content_id: str) -> str:
    """The id without what callers put around it: blanks, angle brackets, `cid:`."""
    text = content_id.strip()
    if text[:4].lower() == "cid:":
        text = text[4:].strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1].strip()
    if not 1 <= len(text) <= _MAX_LENGTH or re.search(r"[<>\"]", text):
        raise ValueError(f"must be 1 to {_MAX_LENGTH} characters without `<`, `>` and quotes")
    return text


def on_the_wire(content_id: str) -> str:
    """The id as the Content-ID header has it, without angle brackets."""
    if _PLAIN.fullmatch(content_id):
        return content_id
    return f"{sha256(content_id.encode()).hexdigest()[:32]}@cid.invalid"


def rewrite_references(html: str, content_ids: Iterable[str]) -> str:
    """The HTML with `cid:` URLs of these ids as they are on the wire; all else is unchanged."""
    ids = list(content_ids)
    if not ids:
        return html
    # Of ids that differ only in their spelling the first counts, unless a reference is exact.
    known = {_key(each): each for each in reversed(ids)} | {each: each for each in ids}
    return _URL.sub(
        lambda match: (match["before"] or "") + _rewritten(match["quoted"] or match[0], known), html
    )


def _rewritten(url: str, known: Mapping[str, str]) -> str:
    for spelling in _spellings(url[4:]):
        if spelling in known:
            return f"cid:{on_the_wire(known[spelling])}"
    # Several URLs between two quotes, as in `srcset`.
    return _UNQUOTED.sub(lambda match: _single(match[0], known), url)


def _single(url: str, known: Mapping[str, str]) -> str:
    found = next((known[each] for each in _spellings(url[4:]) if each in known), None)
    return url if found is None else f"cid:{on_the_wire(found)}"


def _spellings(reference: str) -> Iterator[str]:
    """From exact to lenient."""
    yield reference
    yield (text := _bare(unescape(reference)))
    yield _bare(unquote(text))
    yield _key(text)


def _key(text: str) -> str:
    return normalize("NFC", _bare(unquote(text))).casefold()


def _bare(text: str) -> str:
    return text.strip().removeprefix("<").removesuffix(">").strip()
