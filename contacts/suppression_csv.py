"""Imports and exports suppressions as CSV files (RFC 4180) of any length.

Files are read line by line: an invalid line is reported and does not affect the others. Import and
export hold at most one batch in memory and in a transaction. An interrupted import keeps what it
has committed, and importing the same file again is safe.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple, Protocol
from uuid import UUID

from django.db import connection
from django.utils import timezone

from accounts.models import Workspace
from contacts.addresses import parse_suppressible_address
from contacts.models import Suppression, SuppressionQuerySet
from contacts.suppressions import SuppressionRequest, suppress
from core.errors import ValidationFailed
from core.times import iso

COLUMNS = ["email", "origin", "source_id", "created_at"]
BATCH = 1000
EXPORT_BATCH = 5000
MAX_ERRORS = 100
MAX_LINE_LENGTH = 10_000  # bytes
_CHUNK = 64 * 1024
_ORIGINS = set(Suppression.Origin.values)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class BadLine:
    line: int
    message: str


@dataclass(slots=True)
class ImportReport:
    """The result of an import: line counts and the first invalid lines."""

    lines: int = 0
    added: int = 0
    invalid: int = 0
    errors: list[BadLine] = field(default_factory=list)

    @property
    def already_suppressed(self) -> int:
        return self.lines - self.added - self.invalid

    def add_error(self, line: int, message: str) -> None:
        self.invalid += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(BadLine(line, message))


class _Columns(NamedTuple):
    """The index of the cell that holds each value."""

    email: int
    origin: int | None = None


def import_suppressions(workspace: Workspace, file: Readable) -> Iterator[ImportReport]:
    """Suppress the addresses in a file; publishes events as `suppress` does. Runs while iterated.

    Yields the same report after each batch and once more at the end, when it is complete.

    The header line names the columns: `email` and optionally `origin` or `reason`; other columns
    are ignored. A file with one plain address per line needs no header. ValidationFailed when the
    file is neither.
    """
    report = ImportReport()
    requests = _requests(workspace, file, report)
    while batch := list(islice(requests, BATCH)):
        report.added += len(suppress(batch))
        yield report
    yield report


def export_suppressions(rows: SuppressionQuerySet) -> Iterator[bytes]:
    """The file in chunks, oldest row first; rows added meanwhile come last."""
    yield _csv_bytes([COLUMNS])
    last: UUID | None = None
    while True:
        following = rows.filter(pk__gt=last) if last else rows
        batch = list(
            following.order_by("pk").values_list("pk", "email", "origin", "email_id", "created_at")[
                :EXPORT_BATCH
            ]
        )
        if not connection.in_atomic_block:
            connection.close()  # a slow client must not hold a connection
        if not batch:
            return
        last = batch[-1][0]
        yield _csv_bytes(
            [email, origin, str(source_id or ""), iso(at)]
            for _, email, origin, source_id, at in batch
        )


def _requests(
    workspace: Workspace, file: Readable, report: ImportReport
) -> Iterator[SuppressionRequest]:
    at = timezone.now()
    numbered = ((number, raw) for number, raw in enumerate(_lines(file), 1) if raw.strip())
    first = next(numbered, None)
    if first is None:
        raise ValidationFailed({"file": "is empty"})
    columns, is_header = _columns(first[1])
    for number, raw in numbered if is_header else chain([first], numbered):
        report.lines += 1
        try:
            email, origin = _parse_line(raw, columns)
        except ValueError as error:
            report.add_error(number, str(error))
        else:
            yield SuppressionRequest(workspace_id=workspace.pk, email=email, origin=origin, at=at)


def _columns(first: bytes) -> tuple[_Columns, bool]:
    """The columns named by the first line, and whether that line is a header."""
    try:
        names = [cell.lower() for cell in _cells(first)]
    except ValueError as error:
        raise ValidationFailed({"file": f"line 1 {error}"}) from None
    if "email" in names:
        origin = next((names.index(name) for name in ("origin", "reason") if name in names), None)
        return _Columns(names.index("email"), origin), True
    if len(names) == 1 and "@" in names[0]:
        return _Columns(0), False
    raise ValidationFailed({"file": "must start with a header line that has an `email` column"})


def _parse_line(raw: bytes, columns: _Columns) -> tuple[str, str]:
    """The address and the origin of a line; ValueError says why it is invalid."""
    cells = _cells(raw)
    if len(cells) <= max(columns.email, columns.origin or 0):
        raise ValueError("has fewer cells than the header line")
    origin = cells[columns.origin].lower() if columns.origin is not None else ""
    if origin and origin not in _ORIGINS:
        raise ValueError(f"`{origin[:100]}` is not one of {', '.join(sorted(_ORIGINS))}")
    return parse_suppressible_address(cells[columns.email]), origin or Suppression.Origin.MANUAL


def _cells(raw: bytes) -> list[str]:
    """Parses one line at a time, so that an unclosed quote doesn't swallow the following lines."""
    if len(raw) > MAX_LINE_LENGTH:
        raise ValueError(f"is longer than {MAX_LINE_LENGTH:,} bytes")
    text = raw.decode(errors="replace").lstrip("\ufeff")
    try:
        return [cell.strip() for cell in next(csv.reader([text], strict=True), [])]
    except csv.Error as error:
        raise ValueError(f"is not CSV: {error}") from None


def _lines(file: Readable) -> Iterator[bytes]:
    """The lines without their line ends; truncates one that exceeds MAX_LINE_LENGTH."""
    rest = b""
    while chunk := file.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        rest = rest[: MAX_LINE_LENGTH + 1]
    if rest:
        yield rest


def _csv_bytes(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
