"""The text of an HTML mail in pieces: what was written, what was quoted, and the signature.

A scan of the tags in which mail clients put quotes; like `emails.content.html_to_text` it keeps
no tree, and takes linear time and memory on any input.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Final

from emails.content.html_to_text import end_of_raw_text
from tracking.html_scanner import NAME, REST, attributes

# BELOW is all that follows the start of a quote; people write between its lines.
OWN, QUOTE, SIGNATURE, BELOW = range(4)

MAX_CHARACTERS = 128 * 1024
_MAX_TAGS = 2_000  # of those that are looked at
_MAX_REFERENCES = 10_000
_RAW: Final = frozenset({"script", "style", "title", "textarea", "iframe", "noembed", "noframes"})
_OF_INTEREST = rf"/?+ (?: div | blockquote | {'|'.join(sorted(_RAW))} ) (?=[\s/>])"
_SKIPPED = r"<!-- (?: -?> | .*? (?: --!?> | \Z ) ) | < (?: [!?] | / (?! [A-Za-z] ) ) [^>]*+ >?"
_FLAGS = re.ASCII | re.DOTALL | re.IGNORECASE | re.VERBOSE
# The next tag of interest, and everything before it.
_TAG = re.compile(
    rf"""
    (?: [^<]++ | < (?! [A-Za-z/!?] ) | {_SKIPPED} | < (?! {_OF_INTEREST} ) /?+ {NAME} {REST} )*+
    (?P<tag> < (?P<end> /?+ ) (?P<name> {NAME} ) (?P<attributes> {REST} ) )
    """,
    _FLAGS,
)
# What follows a tag that doesn't end is not rendered.
_MARKUP = re.compile(rf"{_SKIPPED} | < /?+ {NAME} {REST} | < (?= [A-Za-z/!?] ) .*", _FLAGS)
# What an element has that means anything; most have nothing.
_SIGN = re.compile(
    r"gmail_|moz-|yahoo|zmail|tutanota|outlook|reply|appendonsend|rplyfwd|mail-editor|olk_"
    r"|protonmail|signature|border|cite",
    re.IGNORECASE,
)
_HUGE_REFERENCE = re.compile(r"&#[0-9]{4000,};?")  # int() refuses more than 4,300 digits

# Names by which clients find their own quotes again; `x_` is put before those of other mail.
_QUOTE_CLASSES: Final = frozenset(
    {"gmail_attr", "moz-cite-prefix", "yahoo_quoted", "zmail_extra", "tutanota_quote"}
    | {"OutlookMessageHeader", "ms-outlook-mobile-reference-message", "replyforwardmessage"}
)
# From here to the end: what is quoted follows as siblings.
_REST_IDS: Final = frozenset(
    {"appendonsend", "divRplyFwdMsg", "mail-editor-reference-message-container"}
    | {"OLK_SRC_BODY_SECTION", "replySplit", "isReplyContent"}
)
# Around the attribution, the quotes and the answers between them.
_CONTAINER_CLASSES: Final = frozenset({"gmail_quote", "protonmail_quote"})
_SIGNATURE_NAMES: Final = frozenset(
    {"gmail_signature", "moz-signature", "protonmail_signature_block", "Signature"}
    | {"ms-outlook-mobile-signature", "x_Signature", "tutanota_signature"}
)
# Outlook draws this line above the headers of what it quotes.
_OUTLOOK_BORDER = re.compile(
    r"border:none;border-top:solid(?:#e1e1e1|#b5c4df|rgb\([0-9,]{1,16}\))1(?:\.0)?pt;padding:3(?:\.0)?pt0",
    re.IGNORECASE,
)


# What an element means for the text in it.
_PLAIN, _QUOTE, _SIGNATURE, _CONTAINER, _REST = range(5)


def pieces(html: str, *, bare_blockquotes: bool) -> Iterator[tuple[int, str]]:
    """(label, text) in the order of the document; the text without markup, its blanks as they are.

    `bare_blockquotes`: whether a blockquote without any sign of a mail client is a quote.
    """
    html = html[:MAX_CHARACTERS]
    if html.count("&") > _MAX_REFERENCES:
        html = html.replace("&", " ")
    state, start = _State(bare_blockquotes), 0
    position = tags = 0
    while tags < _MAX_TAGS and (tag := _TAG.match(html, position)):
        tags += 1
        position = tag.end()
        name, before = tag["name"].lower(), state.label
        if name in _RAW:
            if tag["end"]:
                continue
            yield before, _text(html[start : tag.start("tag")])
            start = position = end_of_raw_text(html, position, name)
            continue
        if tag["end"]:
            state.close(name)
        else:
            state.open(name, tag["attributes"])
        if state.label != before:
            yield before, _text(html[start : tag.start("tag")])
            start = position
    yield state.label, _text(html[start:])


def _text(html: str) -> str:
    text = _MARKUP.sub(" ", html)
    return unescape(_HUGE_REFERENCE.sub(" ", text)) if "&" in text else text


@dataclass(slots=True)
class _State:
    """The label of the text at a position of the document."""

    bare_blockquotes: bool
    label: int = OWN
    _open: list[tuple[str, int]] = field(default_factory=list)  # names and roles
    _names: dict[str, int] = field(default_factory=lambda: {"div": 0, "blockquote": 0})
    _roles: list[int] = field(default_factory=lambda: [0] * 5)
    _is_after_quote: bool = False  # in a container
    _known: dict[tuple[str, str], int] = field(default_factory=dict)

    def open(self, name: str, tag: str) -> None:
        role = self._known.get((name, tag))
        if role is None:
            role = self._known[name, tag] = self._role(name, tag)
        if role == _CONTAINER and not self._roles[_CONTAINER]:
            self._is_after_quote = False
        self._open.append((name, role))
        self._names[name] += 1
        if role:
            self._roles[role] += 1
            self._relabel()

    def close(self, name: str) -> None:
        """An end tag also ends the elements inside its element."""
        ended = None
        while self._names[name] and ended != name:
            ended, role = self._open.pop()
            self._names[ended] -= 1
            if role not in (_PLAIN, _REST):  # the rest goes on after its element
                self._roles[role] -= 1
                self._is_after_quote |= ended == "blockquote"
        self._relabel()

    def _relabel(self) -> None:
        is_attribution = self._roles[_CONTAINER] and not self._is_after_quote
        if self._roles[_REST]:
            self.label = BELOW
        elif self._roles[_QUOTE] or is_attribution:
            self.label = QUOTE
        else:
            self.label = SIGNATURE if self._roles[_SIGNATURE] else OWN

    def _role(self, name: str, tag: str) -> int:
        given = attributes(tag) if _SIGN.search(tag) else {}
        classes = frozenset(given.get("class", "").split())
        if name == "blockquote":
            return self._role_of_blockquote(given, classes)
        identifier = given.get("id", "")
        if identifier in _REST_IDS or _has_outlook_border(given.get("style", "")):
            return _REST
        if classes & _QUOTE_CLASSES or identifier.startswith("yahoo_quoted"):
            return _QUOTE
        if classes & _CONTAINER_CLASSES:
            return _CONTAINER
        return (
            _SIGNATURE if classes & _SIGNATURE_NAMES or identifier in _SIGNATURE_NAMES else _PLAIN
        )

    def _role_of_blockquote(self, given: dict[str, str], classes: frozenset[str]) -> int:
        if given.get("type", "").lower() == "cite" or classes & _CONTAINER_CLASSES:
            return _QUOTE
        # Gmail's button for indenting makes a blockquote without a border.
        is_indent = "border:none" in given.get("style", "")[:500].replace(" ", "").lower()
        return _QUOTE if self.bare_blockquotes and not is_indent else _PLAIN


def _has_outlook_border(style: str) -> bool:
    return bool(style and _OUTLOOK_BORDER.search("".join(style[:500].split())))
