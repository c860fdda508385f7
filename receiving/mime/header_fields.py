"""Header fields as octets (RFC 5322 section 2.2): where they begin, where they end."""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from mmap import mmap
from typing import NamedTuple

Octets = bytes | mmap

MAX_FIELDS = 2_000
MAX_OCTETS = 256 * 1024

# RFC 5322 section 3.6.8; blanks before the colon are obsolete syntax (section 4.5).
_FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]++)[ \t]*+:")
_END_OF_BLOCK = re.compile(rb"\n\r?\n")
_MBOX = re.compile(rb">?From ")


class Field(NamedTuple):
    """One field; `raw` is what follows the colon, with its line breaks."""

    name: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """A header block, and the offset at which the body begins."""

    fields: tuple[Field, ...]
    body: int
    defects: tuple[str, ...]


def first(fields: Iterable[Field], name: str) -> bytes:
    """The raw value of the first field with this lower-case name, or b""."""
    return next((field.raw for field in fields if field.name.lower() == name), b"")


def read_block(
    octets: Octets, start: int, end: int, delimiters: Container[bytes] = frozenset()
) -> Block:
    """The header block that begins at `start`.

    It ends with a blank line, and also with a line that is neither a field nor a continuation, or
    with one of the delimiters (lines without their `--`): then the body begins there.
    """
    reader = _Reader(octets, end)
    position = start
    while position < end:
        following, line = reader.line(position)
        if not line:
            return reader.block(following)
        is_delimiter = line.startswith(b"--") and line[2:].rstrip() in delimiters
        if is_delimiter or not reader.take(line, is_first=position == start):
            return reader.block(position, "" if is_delimiter else "missing_header_separator")
        if reader.is_full:
            separator = _END_OF_BLOCK.search(octets, following - 1, end)
            return reader.block(separator.end() if separator else end, "header_truncated")
        position = following
    return reader.block(end)


class _Reader:
    def __init__(self, octets: Octets, end: int) -> None:
        self._octets = octets
        self._end = end
        self._names: list[str] = []
        self._lines: list[list[bytes]] = []
        self._size = 0

    @property
    def is_full(self) -> bool:
        return len(self._names) >= MAX_FIELDS or self._size >= MAX_OCTETS

    def line(self, position: int) -> tuple[int, bytes]:
        """The offset of the next line, and this one without its line break."""
        found = self._octets.find(b"\n", position, self._end)
        following = self._end if found < 0 else found + 1
        stop = min(following, position + MAX_OCTETS - self._size + 1)
        return following, self._octets[position:stop].rstrip(b"\r\n")

    def take(self, line: bytes, *, is_first: bool) -> bool:
        """Keep the line, if it belongs to the block."""
        self._size += len(line) + 2
        if line[:1] in (b" ", b"\t") and self._lines:
            self._lines[-1].append(line)
            return True
        if field := _FIELD.match(line):
            self._names.append(field[1].decode("ascii"))
            self._lines.append([line[field.end() :]])
            return True
        return is_first and bool(_MBOX.match(line))

    def block(self, body: int, defect: str = "") -> Block:
        fields = tuple(map(Field, self._names, map(b"\n".join, self._lines)))
        return Block(fields, body, (defect,) if defect and fields else ())
