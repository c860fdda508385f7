"""Where the links of an HTML document are, to the character (HTML Standard, section 13.2.5).

A parser tells which links there are and not where; this tokenizer tells where. It doesn't know
which elements SVG and MathML take for ordinary ones, so whoever uses it asks a parser as well.
"""

import re
from dataclasses import dataclass
from functools import cache
from html import unescape
from html.entities import html5

_LINKS = frozenset({"a", "area"})
# What follows their start tags is text, up to the end tag of the same name.
_TEXTS = frozenset({"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"})

_BLANK = r"\t\n\f\r\ "
# Possessive throughout: a document takes time by its length, whoever wrote it.
_ATTRIBUTE = rf"""
    [{_BLANK}/]*+
    (?P<name> [^{_BLANK}/>] [^{_BLANK}/>=]*+ )
    (?: [{_BLANK}]*+ = [{_BLANK}]*+
        (?: "(?P<double>[^"]*+)" | '(?P<single>[^']*+)'
          | (?P<bare>(?!["'>])[^{_BLANK}>]*+) | (?=>) )
      | (?! [{_BLANK}]*+ = )
    )
"""
_ATTRIBUTES = re.compile(_ATTRIBUTE, re.VERBOSE)
_NAME = rf"[A-Za-z][^{_BLANK}/>]*+"
_REST = rf"(?: {re.sub('[?]P<[a-z]+>', '?:', _ATTRIBUTE)} )*+ [{_BLANK}/]*+ >"
_OF_INTEREST = rf"(?: {'|'.join(sorted(_LINKS | _TEXTS))} | plaintext | /body ) [{_BLANK}/>]"
# The next tag of interest, and whatever lies before it.
_TAG = re.compile(
    rf"""
    (?: [^<]++
      | < (?! [A-Za-z/!?] )
      | <!-- (?: -?> | .*? (?: --!?> | \Z ) )       # a comment
      | < (?: [!?] | / (?! [A-Za-z] ) ) [^>]*+ >?   # a doctype, or what is taken for a comment
      | < (?! {_OF_INTEREST} ) /? {_NAME} {_REST}
    )*+
    < (?P<name> /? {_NAME} ) {_REST}
    """,
    re.ASCII | re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_SCRIPT = re.compile(rf"<!(?=--)|-->|</?script(?=[{_BLANK}/>])", re.IGNORECASE | re.ASCII)
_REFERENCE = re.compile(r"&(?:#(?:[0-9]+|[xX][0-9A-Fa-f]+)|([0-9A-Za-z]+));?")


@dataclass(frozen=True, slots=True)
class Link:
    """One `href` of an `a` or `area`: its value, and the slice of the document that spells it."""

    value: str
    start: int
    end: int
    # The names of the element's attributes, in lower case.
    attributes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scan:
    """`tail` is the place for what comes last: before the end of the body, if it has one."""

    links: list[Link]
    tail: int


def scan(html: str) -> Scan:
    """Takes time by the length of the document, whoever wrote it."""
    links, tail = [], len(html)
    place = 0
    # What begins a tag and doesn't end it is the end of the document.
    while tag := _TAG.match(html, place):
        name = tag["name"].lower()
        if name in _LINKS and (link := _link(html, tag)):
            links.append(link)
        elif name == "/body":
            tail = tag.start("name") - 1
        place = _behind_text(html, tag.end(), name)
    return Scan(links, tail)


def _behind_text(html: str, place: int, name: str) -> int:
    if name == "plaintext":
        return len(html)
    if name == "script":
        return _behind_script(html, place)
    if name in _TEXTS and (end := _end_of(name).search(html, place)):
        return end.start()
    return len(html) if name in _TEXTS else place


@cache
def _end_of(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}(?=[{_BLANK}/>])", re.IGNORECASE | re.ASCII)


def _behind_script(html: str, place: int) -> int:
    """A script that is written in a comment of a script doesn't end it (sections 13.2.5.18-31)."""
    in_comment = in_inner = False
    for mark in _SCRIPT.finditer(html, place):
        match mark[0].lower():
            case "<!":
                in_comment = True
            case "-->":
                in_comment = in_inner = False
            case "<script":
                in_inner = in_comment
            case _ if in_inner:
                in_inner = False
            case _:
                return mark.start()
    return len(html)


def _link(html: str, tag: re.Match[str]) -> Link | None:
    """None without an address. Of attributes with the same name, the first counts."""
    found: dict[str, tuple[int, int]] = {}
    for attribute in _ATTRIBUTES.finditer(html, tag.end("name"), tag.end()):
        value = attribute.lastgroup or "name"
        span = attribute.span(value) if value != "name" else (0, 0)
        found.setdefault(attribute["name"].lower(), span)
    start, end = found.get("href", (0, 0))
    if start == end:
        return None
    return Link(_decoded(html[start:end]), start, end, frozenset(found))


def _decoded(value: str) -> str:
    return _REFERENCE.sub(_character, value) if "&" in value else value


def _character(reference: re.Match[str]) -> str:
    """Section 13.2.5.73: in an attribute `&copy=` and `&copyright` are no character references."""
    name, whole = reference[1], reference[0]
    if name is None:
        return unescape(whole)
    follows = reference.string[reference.end() : reference.end() + 1]
    return whole if follows == "=" and whole[-1] != ";" else html5.get(whole[1:], whole)
