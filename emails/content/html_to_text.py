"""The plain-text part for mail that has only HTML.

A tokenizer instead of a parser: the tree of a parser may grow with the square of the input
(unclosed formatting elements, deep nesting), this takes linear time and memory on any input.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from html import unescape
from typing import NamedTuple

from emails.content.text_writer import TextWriter
from tracking.html_scanner import NAME, REST, attributes

_TOKEN = re.compile(
    rf"""
    (?P<text> (?: [^<]++ | < (?! [A-Za-z/!?] ) )++ )
    | <!-- (?: -?> | .*? (?: --!?> | \Z ) )
    | < (?: [!?] | / (?! [A-Za-z] ) ) [^>]*+ >?
    | < (?P<end> /?+ ) (?P<name> {NAME} ) (?P<attributes> {REST} )
    """,
    re.ASCII | re.DOTALL | re.IGNORECASE | re.VERBOSE,
)

# Elements whose content is no markup; it ends at their own end tag only.
_RAW = frozenset({"script", "style", "title", "textarea", "iframe", "noembed", "noframes", "xmp"})
_SKIPPED = _RAW | {"head", "template", "svg", "object", "select", "datalist"}
_IN_HEAD = _RAW | {"base", "link", "meta", "template", "noscript", "head"}
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param"}
    | {"source", "track", "wbr"}
)
_PARAGRAPHS = frozenset(
    {"blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "ul"}
)
_BLOCKS = _PARAGRAPHS | (
    {"address", "article", "aside", "body", "caption", "center", "dd", "details", "dialog", "div"}
    | {"dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "html", "legend", "li"}
    | {"main", "nav", "search", "section", "summary", "table", "tbody", "tfoot", "thead", "tr"}
)
_CELLS = frozenset({"td", "th"})
_ROWS = frozenset({"table", "tbody", "tfoot", "thead", "tr"})
_LISTS = frozenset({"ol", "ul"})
# Innermost elements that a start tag ends (HTML Standard, section 13.1.2.4).
_ENDED_BY = {
    **dict.fromkeys(_BLOCKS, frozenset({"p"})),
    "li": frozenset({"li", "p"}),
    **dict.fromkeys(("dd", "dt"), frozenset({"dd", "dt", "p"})),
    **dict.fromkeys(_CELLS, frozenset({"td", "th", "p"})),
    "tr": frozenset({"td", "th", "tr", "p"}),
    **dict.fromkeys(("tbody", "tfoot"), frozenset({"td", "th", "tr", "tbody", "thead", "p"})),
}

_HIDING = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_DECLARATIONS = re.compile(r"(?:^|;)\s*(display|white-space)\s*:\s*([a-z-]+)", re.IGNORECASE)
_BLOCK_DISPLAYS = ("block", "flex", "grid", "table")  # and table-cell, ...
_BOX_DISPLAYS = ("inline-block", "inline-flex", "inline-grid", "inline-table")
_DISPLAYS_OF_ITEMS = frozenset({"flex", "grid", "inline-flex", "inline-grid"})
_HUGE_REFERENCE = re.compile(r"&#[0-9]{4000,};?")  # int() refuses more than 4,300 digits
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# Schemes that lead nowhere outside the HTML.
_NO_TARGETS = frozenset({"about:", "blob:", "cid:", "data:", "file:", "javascript:", "vbscript:"})
_NUMBERS = ("tel:", "sms:")
_INDENT, _MAX_INDENTS = "  ", 5
_TOLERANCE = 8 * 1024  # bytes by which a text may be larger than its HTML


class Look(NamedTuple):
    """Whether an element is invisible, with all that it contains, or only its own text."""

    is_hidden: bool = False
    hides_text: bool = False
    inherited: object = None  # for the looks of the elements inside


# The look of an element by that of its parent, its lower-case name and its attributes.
LookOf = Callable[[Look, str, Mapping[str, str]], Look]


class HtmlText(NamedTuple):
    """`hidden` is the number of pieces of text that were left out because nobody sees them."""

    text: str
    hidden: int


def html_to_text(html: str) -> str:
    """What a reader of the HTML sees: a line per block, the target of a link after its label.

    Empty if there is nothing to read. At most some KiB larger than the HTML, as the check of the
    size at accept assumes.
    """
    return read_html(html, _look_of).text


def read_html(html: str, look_of: LookOf) -> HtmlText:
    """The same, where `look_of` decides what is visible."""
    reader, position = _Reader(look_of), 0
    # A tag that doesn't end is not rendered, and neither is what follows: like in browsers.
    while token := _TOKEN.match(html, position):
        position = token.end()
        if token["text"]:
            reader.text(token["text"])
        elif token["name"] and token["end"]:
            reader.end(token["name"].lower())
        elif token["name"]:
            name = token["name"].lower()
            reader.start(name, token["attributes"])
            if name in _RAW:
                position = end_of_raw_text(html, position, name)
    return HtmlText(_bounded(reader.finish(), html), reader.hidden)


def end_of_raw_text(html: str, position: int, name: str) -> int:
    """Where the end tag of such an element begins, or the end of the document."""
    end = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE | re.ASCII).search(html, position)
    return end.start() if end else len(html)


def _bounded(text: str, html: str) -> str:
    octets = text.encode()
    # Line breaks become CRLF.
    excess = len(octets) + text.count("\n") - len(html.encode()) - html.count("\n") - _TOLERANCE
    return text if excess <= 0 else octets[:-excess].decode(errors="ignore")


class _Space(Enum):
    """What becomes of blanks and line breaks: CSS `white-space`, as far as it shows in a text."""

    COLLAPSED = "normal"
    KEPT = "pre"
    LINES_KEPT = "pre-line"


_SPACES = {
    **dict.fromkeys(("normal", "nowrap", "initial"), _Space.COLLAPSED),
    **dict.fromkeys(("pre", "pre-wrap", "break-spaces"), _Space.KEPT),
    "pre-line": _Space.LINES_KEPT,
}


class _Element(NamedTuple):
    """`is_box`: it stands apart from a box next to it; `has_items`: so do its children."""

    name: str
    is_block: bool
    is_box: bool
    has_items: bool
    space: _Space
    look: Look


@dataclass(slots=True)
class _List:
    is_ordered: bool
    number: int  # of the last item


class _Reader:
    """Writes the text of the tokens of a document.

    An end tag also ends the elements inside its element; without a start tag it means nothing.
    """

    def __init__(self, look_of: LookOf) -> None:
        self.hidden = 0
        self._look_of = look_of
        self._text = TextWriter()
        self._open: list[_Element] = []
        self._count: Counter[str] = Counter()
        self._hidden_from: int | None = None  # the position in `_open`
        self._lists: list[_List] = []
        self._target = ""
        self._has_picture = False

    def start(self, name: str, tag: str) -> None:
        self._end_implied(name)
        given = attributes(tag) if len(tag) > 1 else {}
        element = self._element(name, given)
        is_hidden = name in _SKIPPED or element.look.is_hidden
        if self._hidden_from is None and not is_hidden:
            self._enter(element, given)
        if name in _VOID or (name == "svg" and tag.endswith("/>")):
            return
        if self._hidden_from is None and is_hidden:
            self._hidden_from = len(self._open)
        self._open.append(element)
        self._count[name] += 1

    def end(self, name: str) -> None:
        if name == "br":  # browsers take it for a start tag
            self.start(name, "")
        while self._count[name]:
            if self._end_innermost() == name:
                break

    def text(self, text: str) -> None:
        if self._hidden_from is not None or (self._open and self._open[-1].look.hides_text):
            self.hidden += self._is_hidden_by_style and not text.isspace()
            return
        text = unescape(_HUGE_REFERENCE.sub("\N{REPLACEMENT CHARACTER}", text))
        match self._space_of(text):
            case _Space.COLLAPSED:
                self._text.write(text)
            case _Space.KEPT:
                self._text.write_preformatted(text)
            case _Space.LINES_KEPT:
                self._text.write_lines(text)

    def finish(self) -> str:
        self._end_link()
        return self._text.finish()

    def _element(self, name: str, given: dict[str, str]) -> _Element:
        parent = self._open[-1] if self._open else None
        style = {key.lower(): value for key, value in _DECLARATIONS.findall(given.get("style", ""))}
        display, space = style.get("display", "").lower(), style.get("white-space", "").lower()
        own = _SPACES.get(space, _Space.KEPT if name == "pre" else None)
        return _Element(
            name,
            is_block=name in _BLOCKS or display.startswith(_BLOCK_DISPLAYS),
            is_box=name == "button"
            or display in _BOX_DISPLAYS
            or bool(parent and parent.has_items),
            has_items=display in _DISPLAYS_OF_ITEMS,
            space=own or (parent.space if parent else _Space.COLLAPSED),
            look=self._look_of(parent.look if parent else _VISIBLE, name, given),
        )

    @property
    def _is_hidden_by_style(self) -> bool:
        return self._hidden_from is None or self._open[self._hidden_from].name not in _SKIPPED

    def _space_of(self, text: str) -> _Space:
        parent = self._open[-1] if self._open else None
        # Between cells and rows, browsers drop what is blank.
        if parent is None or (parent.name in _ROWS and not text.strip()):
            return _Space.COLLAPSED
        return parent.space

    def _end_implied(self, name: str) -> None:
        ended = _ENDED_BY.get(name, frozenset())
        if name not in _IN_HEAD:
            ended |= {"head"}
        while self._open and self._open[-1].name in ended:
            self._end_innermost()

    def _end_innermost(self) -> str:
        element = self._open.pop()
        self._count[element.name] -= 1
        if self._hidden_from is None:
            self._leave(element)
        elif len(self._open) == self._hidden_from:
            self._hidden_from = None
        return element.name

    def _enter(self, element: _Element, given: dict[str, str]) -> None:
        self._break(element)
        if element.is_box:
            self._text.start_box()
        match element.name:
            case "br":
                self._text.break_line()
            case "hr":
                self._text.write("---")
                self._break(element)
            case "td" | "th":
                self._text.separate()
            case "ol" | "ul":
                self._lists.append(_List(element.name == "ol", _number_before(given)))
            case "li":
                self._start_item()
            case "a":
                self._start_link(given)
            case "area":
                self._start_link(given)
                self._show_picture(given)
                self._end_link()
            case "img":
                self._show_picture(given)

    def _leave(self, element: _Element) -> None:
        if element.name == "a":
            self._end_link()
        elif element.name in _LISTS:
            self._lists.pop()
        if element.is_box:
            self._text.end_box()
        self._break(element)

    def _break(self, element: _Element) -> None:
        is_inner_list = element.name in _LISTS and self._lists
        if element.name in _PARAGRAPHS and not is_inner_list:
            self._text.start_paragraph()
        elif element.is_block:
            self._text.start_line()

    def _start_item(self) -> None:
        current = self._lists[-1] if self._lists else _List(is_ordered=False, number=0)
        current.number += 1
        indents = min(max(len(self._lists) - 1, 0), _MAX_INDENTS)
        mark = f"{current.number}." if current.is_ordered else "-"
        self._text.write_mark(_INDENT * indents + mark)

    def _show_picture(self, given: dict[str, str]) -> None:
        self._has_picture = True
        if label := given.get("alt", "").strip():
            self._text.write_apart(label)

    def _start_link(self, given: dict[str, str]) -> None:
        self._end_link()
        self._target = _target(given.get("href", ""))
        self._has_picture = False
        self._text.start_label()

    def _end_link(self) -> None:
        target, self._target = self._target, ""
        label = self._text.end_label()
        if not target or _is_same(label, target):
            return
        if label:
            self._text.write_target(target)
        elif self._has_picture:
            self._text.write_apart(target)


_VISIBLE, _HIDDEN = Look(), Look(is_hidden=True)


def _look_of(_: Look, __: str, given: Mapping[str, str]) -> Look:
    return _HIDDEN if is_hidden(given) else _VISIBLE


def is_hidden(given: Mapping[str, str]) -> bool:
    """By its own attributes: `data-skip-in-text` is of React Email's preview text."""
    return (
        "hidden" in given
        or given.get("data-skip-in-text") == "true"
        or bool(_HIDING.search(given.get("style", "")))
    )


def _number_before(given: Mapping[str, str]) -> int:
    start = given.get("start", "")
    return int(start) - 1 if re.fullmatch(r"[0-9]{1,6}", start) else 0


def _target(href: str) -> str:
    """The address of a link as a reader can use it; "" for one that leads nowhere."""
    url = re.sub(r"[\t\n\r]", "", href).strip("".join(map(chr, range(0x21)))).replace(" ", "%20")
    scheme = _SCHEME.match(url)
    if scheme is None:
        # The placeholder of the unsubscribe link, or an address that mail clients complete.
        return url if url.startswith(("{{", "www.")) else f"https:{url}" if url[:2] == "//" else ""
    kind = scheme[0].lower()
    if kind in _NO_TARGETS or scheme.end() == len(url):
        return ""
    is_plain = kind in _NUMBERS or (kind == "mailto:" and "?" not in url)
    return url[scheme.end() :] if is_plain else url


def _is_same(label: str, target: str) -> bool:
    """Whether the label already says where the link leads."""
    digits = re.sub(r"[^0-9]", "", target)
    if re.fullmatch(r"[+0-9*#;=.()/-]+", target):  # a telephone number
        return bool(digits) and re.sub(r"[^0-9]", "", label) == digits
    return label.rstrip("/").casefold() == target.rstrip("/").casefold()
