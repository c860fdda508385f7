"""Finds the character positions of links in an HTML document (HTML Standard, section 13.2.5).

An HTML parser finds links but not their positions, and the tree that the standard demands of it
can be the square of the document: 22 KB of unclosed `<p><b id=n>` take it 500 MB. This tokenizer
finds the positions and keeps nothing. Of the rules inside SVG and MathML it knows CDATA sections.
"""

import re
from dataclasses import dataclass
from functools import cache
from html import unescape
from html.entities import html5

_LINK_TAGS = frozenset({"a", "area"})
# The content of these elements is raw text up to the end tag of the same name.
_RAW_TEXT_TAGS = frozenset(
    {"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"}
)

_BLANK = r"\t\n\f\r\ "
# Possessive quantifiers throughout: matching takes linear time, even on hostile input.
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
NAME = rf"[A-Za-z][^{_BLANK}/>]*+"
REST = rf"(?: {re.sub('[?]P<[a-z]+>', '?:', _ATTRIBUTE)} )*+ [{_BLANK}/]*+ >"
_OF_INTEREST = (
    rf"(?: {'|'.join(sorted(_LINK_TAGS | _RAW_TEXT_TAGS))} | plaintext | /body ) [{_BLANK}/>]"
)
# The next tag of interest, and everything before it.
_TAG = re.compile(
    rf"""
    (?: [^<]++
      | < (?! [A-Za-z/!?] )
      | <!-- (?: -?> | .*? (?: --!?> | \Z ) )       # a comment
      | <!\[CDATA\[ .*? (?: \]\]> | \Z )            # in SVG and MathML, text
      | < (?: [!?] | / (?! [A-Za-z] ) ) [^>]*+ >?   # a doctype or a bogus comment
      | < (?! {_OF_INTEREST} ) /? {NAME} {REST}
    )*+
    < (?P<name> /? {NAME} ) {REST}
    """,
    re.ASCII | re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_SCRIPT = re.compile(rf"<!(?=--)|-->|</?script(?=[{_BLANK}/>])", re.IGNORECASE | re.ASCII)
_REFERENCE = re.compile(r"&(?:#(?:[0-9]+|[xX][0-9A-Fa-f]+)|([0-9A-Za-z]+));?")
_MAX_REFERENCE = 4000  # characters


@dataclass(frozen=True, slots=True)
class Link:
    """The `href` of an `a` or `area`: its decoded value, and its slice of the document."""

    value: str
    start: int
    end: int
    # The names of the element's attributes in lower case.
    attributes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scan:
    """`tail` is where to append content: before `</body>`, or at the end without one."""

    links: list[Link]
    tail: int


def scan(html: str) -> Scan:
    """Takes linear time, even on hostile documents."""
    links, tail = [], len(html)
    position = 0
    # An unterminated tag extends to the end of the document.
    while tag := _TAG.match(html, position):
        name = tag["name"].lower()
        if name in _LINK_TAGS and (link := _link(html, tag)):
            links.append(link)
        elif name == "/body":
            tail = tag.start("name") - 1
        position = _skip_raw_text(html, tag.end(), name)
    return Scan(links, tail)


def _skip_raw_text(html: str, position: int, name: str) -> int:
    if name == "plaintext":
        return len(html)
    if name == "script":
        return _skip_script(html, position)
    if name in _RAW_TEXT_TAGS and (end := _end_tag(name).search(html, position)):
        return end.start()
    return len(html) if name in _RAW_TEXT_TAGS else position


@cache
def _end_tag(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}(?=[{_BLANK}/>])", re.IGNORECASE | re.ASCII)


def _skip_script(html: str, position: int) -> int:
    """In a script's comment, `<script>...</script>` doesn't end the script (13.2.5.18-31)."""
    in_comment = in_inner = False
    for mark in _SCRIPT.finditer(html, position):
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
    """None without a non-empty `href`. The first of duplicate attributes counts."""
    spans: dict[str, tuple[int, int]] = {}
    for attribute in _ATTRIBUTES.finditer(html, tag.end("name"), tag.end()):
        value = attribute.lastgroup or "name"
        span = attribute.span(value) if value != "name" else (0, 0)
        spans.setdefault(attribute["name"].lower(), span)
    start, end = spans.get("href", (0, 0))
    if start == end:
        return None
    return Link(_decoded(html[start:end]), start, end, frozenset(spans))


def attributes(tag: str) -> dict[str, str]:
    """The attributes in a tag's text after its name, decoded; the first of duplicates counts."""
    found: dict[str, str] = {}
    for attribute in _ATTRIBUTES.finditer(tag):
        value = attribute.lastgroup or "name"
        found.setdefault(attribute["name"].lower(), "" if value == "name" else attribute[value])
    return {name: _decoded(value) for name, value in found.items()}


def _decoded(value: str) -> str:
    return _REFERENCE.sub(_character, value) if "&" in value else value


def _character(reference: re.Match[str]) -> str:
    """In an attribute, `&copy=` and `&copyright` are not references (section 13.2.5.73)."""
    name, whole = reference[1], reference[0]
    if name is None:
        # int() refuses more than 4,300 digits.
        return unescape(whole) if len(whole) < _MAX_REFERENCE else "\N{REPLACEMENT CHARACTER}"
    follows = reference.string[reference.end() : reference.end() + 1]
    return whole if follows == "=" and whole[-1] != ";" else html5.get(whole[1:], whole)
