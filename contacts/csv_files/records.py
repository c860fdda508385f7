"""Reads the records of a CSV file (RFC 4180) in constant memory, whatever program wrote it.

Understands commas, semicolons and tabs, Excel's `sep=;` line, LF, CRLF and CR, UTF-8 and UTF-16.
A record may span lines: a line inside a quoted cell is never read as a record.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from core.errors import ValidationFailed

MAX_RECORD_LENGTH = 64 * 1024  # characters; below csv.field_size_limit()
_CHUNK = 64 * 1024  # bytes
_HEAD = 512  # bytes that show the encoding
_MAX_HEADER_LINES = 20
_DELIMITERS = ",;\t"
_ESCAPED = re.compile(r"\\.")
_EXCEL_DELIMITER = re.compile(r'"?sep=([^"\s]|\t)"?\s*', re.IGNORECASE)

_BINARY_FORMATS = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook (.xlsx)",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls)",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF document",
    b"\xff\xfe\x00\x00": "UTF-32 text",
    b"\x00\x00\xfe\xff": "UTF-32 text",
}
# Bytes that are not UTF-8, such as Windows-1252, become lone surrogates: harmless in other cells,
# recognisable in an address.
_UTF_8 = ("utf-8-sig", "surrogateescape")
_UTF_16 = ("utf-16", "replace")
_UNMARKED_UTF_16 = {
    ("utf-16-le", "replace"): re.compile(rb"[^\0]\0[^\0]\0"),
    ("utf-16-be", "replace"): re.compile(rb"\0[^\0]\0[^\0]"),
}


_CUT_OFF = (
    "may be cut off: the file ends without a line end, and the request has no Content-Length; "
    "put a line end after the last line"
)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Record(NamedTuple):
    """One record; `line` is where it starts, `problem` says why it has no cells."""

    line: int
    cells: Sequence[str]
    problem: str = ""


def read_records(
    file: Readable, *, is_header: Callable[[Sequence[str]], bool], is_whole: bool = True
) -> Iterator[Record]:
    """The records with their cells stripped; blank ones are left out.

    `is_header` recognises the cells of a header line, which tells the delimiter. Unless the
    transport proved that the file `is_whole`, a last line without a line end is a problem: it may
    be cut off, and half an address may be somebody else's. ValidationFailed for a file that is no
    text.
    """
    lines = _Lines(_decode(file))
    delimiter = _read_delimiter(lines, is_header)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    while (record := _next_record(reader, lines, is_whole=is_whole)) is not None:
        if record.problem or any(record.cells):
            yield record


def _next_record(reader: Any, lines: "_Lines", *, is_whole: bool) -> Record | None:
    start = lines.number + 1
    lines.start_record()
    try:
        cells = [cell.strip() for cell in next(reader)]
    except StopIteration:
        return None
    except csv.Error as error:
        lines.finish_record()
        return Record(start, (), _malformed(str(error), start, lines.number))
    if lines.record_length > MAX_RECORD_LENGTH:
        return Record(start, (), f"is longer than {MAX_RECORD_LENGTH:,} characters")
    if not (is_whole or lines.is_terminated):
        return Record(start, (), _CUT_OFF)
    return Record(start, cells)


def _malformed(error: str, first: int, last: int) -> str:
    lines = f"line {first} was" if first == last else f"lines {first} to {last} were"
    if error == "unexpected end of data":
        return f"is not CSV: it opens a quote that nothing closes, so {lines} not read"
    return f"is not CSV ({error}), so {lines} not read; write a quote inside a cell as two"


class _Lines(Iterator[str]):
    """The lines of a text, for a csv.reader, which asks for another while a quote is open.

    Of a line or record beyond MAX_RECORD_LENGTH only the parity of its quotes is passed on: it
    decides where the record ends.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._peeked: deque[_Line] = deque()
        self.number = 0  # of the last line that was passed on
        self.record_length = 0
        self._record: list[str] = []  # its lines, as far as they are not too long
        self.is_terminated = True  # whether the last line that was passed on has a line end

    def peek(self, position: int = 0) -> str:
        """A line that is passed on later; empty at the end."""
        while len(self._peeked) <= position:
            self._peeked.append(self._read())
        return self._peeked[position].text

    def skip(self) -> None:
        self._pass_on()

    def start_record(self) -> None:
        self.record_length = 0
        self._record.clear()

    def finish_record(self) -> None:
        """Skip the rest of a malformed record whose quotes are escaped with backslashes.

        PHP and MySQL write `"say \\"hi\\" and"`, after which the csv.reader takes the next line of
        that cell for a record.
        """
        text = "".join(self._record)
        is_open = '\\"' in text and _has_open_quote(text)
        while is_open and self.peek():
            is_open ^= _has_open_quote(self._pass_on().text)

    def __next__(self) -> str:
        if not self.peek():
            raise StopIteration
        line = self._pass_on()
        self.record_length += line.length
        if self.record_length > MAX_RECORD_LENGTH:
            return _parity(line.text)
        self._record.append(line.text)
        return line.text

    def _pass_on(self) -> "_Line":
        line = self._peeked.popleft()
        self.number += 1
        self.is_terminated = line.is_terminated
        return line

    def _read(self) -> "_Line":
        text = piece = self._text.readline(MAX_RECORD_LENGTH)
        if len(text) < MAX_RECORD_LENGTH or text.endswith("\n"):
            return _Line(text, len(text), text.endswith("\n"))
        while piece and not piece.endswith("\n"):
            piece = self._text.readline(MAX_RECORD_LENGTH)
            text = _parity(text + piece) + "x"  # not empty: that would be the end
        return _Line(text, MAX_RECORD_LENGTH + 1, piece.endswith("\n"))


class _Line(NamedTuple):
    text: str
    length: int
    is_terminated: bool


def _has_open_quote(text: str) -> bool:
    """By the parity of the quotes that no backslash escapes."""
    return bool(_ESCAPED.sub("", text).count('"') % 2)


def _parity(text: str) -> str:
    return '"' * (text.count('"') % 2)


def _read_delimiter(lines: _Lines, is_header: Callable[[Sequence[str]], bool]) -> str:
    while (first := lines.peek()) and not first.strip():
        lines.skip()
    if match := _EXCEL_DELIMITER.fullmatch(first):
        lines.skip()
        return match[1]

    header = _peek_record(lines)

    def rank(delimiter: str) -> tuple[bool, int]:
        cells = next(csv.reader(header, delimiter=delimiter, skipinitialspace=True), [])
        return is_header([cell.strip() for cell in cells]), len(cells)

    return max(_DELIMITERS, key=rank)


def _peek_record(lines: _Lines) -> list[str]:
    """The first record, whose quoted cells may span lines."""
    record = [lines.peek()]
    while record[-1] and "".join(record).count('"') % 2 and len(record) < _MAX_HEADER_LINES:
        record.append(lines.peek(len(record)))
    return record


def _decode(file: Readable) -> io.TextIOWrapper:
    head = b""
    while len(head) < _HEAD and (chunk := file.read(_CHUNK)):
        head += chunk
    for start, name in _BINARY_FORMATS.items():
        if head.startswith(start):
            raise ValidationFailed({"file": f"is {name}: save it as CSV in UTF-8"})
    encoding, errors = _detect_encoding(head)
    raw = io.BufferedReader(_Raw(head, file), _CHUNK)
    # newline=None: LF, CRLF and CR all become LF.
    return io.TextIOWrapper(raw, encoding, errors, newline=None)


def _detect_encoding(head: bytes) -> tuple[str, str]:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _UTF_16
    for encoding, pattern in _UNMARKED_UTF_16.items():
        if pattern.match(head):
            return encoding
    return _UTF_8


class _Raw(io.RawIOBase):
    """Adapts `read` to Python's raw IO, after the bytes that were read already."""

    def __init__(self, head: bytes, file: Readable) -> None:
        self._rest = memoryview(head)
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(self._file.read(_CHUNK))
        chunk, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)
