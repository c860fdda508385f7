"""The tree of a message's parts, by offsets (RFC 2045, RFC 2046).

One pass over the lines that begin with `--`: time is linear in the size, and nothing of the
content is copied. The `email` package takes quadratic time and a stack frame per level.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from receiving.mime import parameters
from receiving.mime.encoded_words import unfold
from receiving.mime.header_fields import Block, Field, Octets, first, read_block
from receiving.mime.parameters import Parameterised

MAX_DEPTH = 50
MAX_PARTS = 1_000

_DELIMITER = re.compile(rb"\n--([^\r\n]*+)")
_BLANK_START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*+")
_GUESSED = re.compile(
    rb"\n--([0-9A-Za-z'()+_,./:=?-][0-9A-Za-z'()+_,./:=? -]{0,98}+)\r?(?=\n(?:[A-Za-z-]+:|\r?\n))"
)
_SEARCHED = 64 * 1024  # octets in which the first part must begin
_TEXT = Parameterised("text/plain", {})
_MESSAGE = Parameterised("message/rfc822", {})


class NoHeader(ValueError):
    """What was given has no header block, so it is no message."""


@dataclass(slots=True)
class Part:
    """A part: its fields, and the offsets of its content in the message."""

    fields: tuple[Field, ...]
    content_type: Parameterised
    start: int
    end: int
    children: list["Part"] = field(default_factory=list)

    @property
    def is_multipart(self) -> bool:
        return bool(self.children)

    def value(self, name: str) -> str:
        """The unfolded value of the first field with this lower-case name, or ""."""
        return unfold(first(self.fields, name))

    def walk(self) -> Iterator["Part"]:
        """This part and those inside it, in the order of the message."""
        pending = [self]
        while pending:
            part = pending.pop()
            yield part
            pending += reversed(part.children)


class Structure(NamedTuple):
    """`octets` are those that the offsets refer to."""

    octets: Octets
    root: Part
    defects: tuple[str, ...]


def parse(octets: Octets) -> Structure:
    """The parts of a message. NoHeader if it has no header block.

    Lines end with LF or CRLF, or with CR in a message without LF. The first 50 levels and 1,000
    parts are separated.
    """
    if octets.find(b"\n") < 0:
        octets = octets[:].replace(b"\r", b"\n")
    return _Splitter(octets).split()


class _Splitter:
    def __init__(self, octets: Octets) -> None:
        self._octets = octets
        self._end = len(octets)
        self._defects: dict[str, None] = {}  # an ordered set
        self._open: list[tuple[Part, bytes]] = []  # multiparts and boundaries, outermost first
        self._levels: dict[bytes, list[int]] = {}  # of the multiparts with this boundary
        self._count = 0

    def split(self) -> Structure:
        blank = _BLANK_START.match(self._octets)
        block = read_block(self._octets, blank.end() if blank else 0, self._end)
        if not block.fields:
            raise NoHeader
        root = self._add(block, _TEXT)
        position = root.start
        while self._open and (delimiter := _DELIMITER.search(self._octets, max(position - 1, 0))):
            position = self._at(delimiter)
        self._close_above(-1, self._end)
        return Structure(self._octets, root, tuple(self._defects))

    def _at(self, delimiter: re.Match[bytes]) -> int:
        """Where to search for the next one."""
        text = delimiter[1].rstrip(b" \t")  # padding of the transport (RFC 2046 section 5.1.1)
        is_last = text not in self._levels and text.endswith(b"--")
        levels = self._levels.get(text[:-2] if is_last else text)
        if not levels:
            return delimiter.end()
        level, at = levels[-1], delimiter.start()
        if self._octets[at - 1 : at] == b"\r":
            at -= 1
        self._close_above(level, at)
        self._end_child(level, at)
        if is_last:
            self._pop()
        elif self._count >= MAX_PARTS:
            self._note("too_many_parts")
            self._open.clear()
        else:
            return self._add_child(level, delimiter.end())
        return delimiter.end()

    def _add_child(self, level: int, end_of_delimiter: int) -> int:
        line_break = self._octets.find(b"\n", end_of_delimiter)
        start = self._end if line_break < 0 else line_break + 1
        parent, _ = self._open[level]
        default = _MESSAGE if parent.content_type.value == "multipart/digest" else _TEXT
        child = self._add(read_block(self._octets, start, self._end, self._levels), default)
        parent.children.append(child)
        return child.start

    def _add(self, block: Block, default: Parameterised) -> Part:
        self._count += 1
        for defect in block.defects:
            self._note(defect)
        content_type = parameters.parse(unfold(first(block.fields, "content-type")))
        if "/" not in content_type.value:
            content_type = default
        part = Part(block.fields, content_type, block.body, self._end)
        if content_type.value.startswith("multipart/"):
            self._push(part)
        return part

    def _push(self, part: Part) -> None:
        if len(self._open) >= MAX_DEPTH:
            self._note("nested_too_deep")
            return
        boundary = part.content_type.parameters.get("boundary", "").rstrip().encode()
        searched = max(part.start - 1, 0), min(part.start + _SEARCHED, self._end)
        if not boundary or self._octets.find(b"\n--" + boundary, *searched) < 0:
            guessed = _GUESSED.search(self._octets, *searched)
            if guessed and (found := guessed[1].rstrip()) not in self._levels:
                self._note("wrong_boundary")
                boundary = found
        self._levels.setdefault(boundary, []).append(len(self._open))
        self._open.append((part, boundary))

    def _close_above(self, level: int, at: int) -> None:
        """Close the multiparts inside this level's, whose own last delimiters are missing."""
        while len(self._open) > level + 1:
            self._note("missing_final_boundary")
            self._end_child(-1, at)
            self._pop()

    def _end_child(self, level: int, at: int) -> None:
        children = self._open[level][0].children
        if children:
            children[-1].end = max(at, children[-1].start)

    def _pop(self) -> None:
        part, boundary = self._open.pop()
        levels = self._levels[boundary]
        levels.pop()
        if not levels:
            del self._levels[boundary]
        if not part.children:
            self._note("missing_boundary")
            part.content_type = _TEXT

    def _note(self, defect: str) -> None:
        self._defects[defect] = None
