"""Imports and exports suppressions as CSV files (RFC 4180) of any length.

An invalid row is reported and does not affect the others. Import and export hold at most one batch
in memory and in a transaction. An interrupted import keeps what it has committed, and importing the
same file again is safe.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from uuid import UUID

from django.db import connection
from django.utils import timezone

from accounts.models import Workspace
from contacts.addresses import parse_suppressible_address
from contacts.csv_files.records import Readable, Record, read_records
from contacts.csv_files.suppression_columns import Columns, find_columns, is_header, parse_reason
from contacts.models import SuppressionQuerySet
from contacts.suppressions import SuppressionRequest, suppress
from core.errors import ValidationFailed
from core.times import iso

COLUMNS = ["email", "origin", "source_id", "created_at"]
BATCH = 1000
EXPORT_BATCH = 5000
MAX_ERRORS = 100
# Spreadsheets take a cell with such a start for a formula. Leading apostrophes are matched as well,
# so that the escape can be reverted.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to import; `is_whole` is whether the transport proved that its end is not missing."""

    file: Readable
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class BadLine:
    line: int
    message: str


@dataclass(slots=True)
class ImportReport:
    """The result of an import: counts of rows, and the first invalid ones by their lines.

    Rows with an unknown reason are imported as `manual`: the address is dead in any case.
    """

    lines: int = 0
    added: int = 0
    invalid: int = 0
    unknown_reasons: int = 0
    errors: list[BadLine] = field(default_factory=list)

    @property
    def already_suppressed(self) -> int:
        return self.lines - self.added - self.invalid

    def add_error(self, line: int, message: str) -> None:
        self.invalid += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(BadLine(line, message))


def import_suppressions(
    workspace: Workspace, file: Readable, *, is_whole: bool = True
) -> Iterator[ImportReport]:
    """Suppress the addresses in a file; publishes events as `suppress` does. Runs while iterated.

    Yields the same report after each batch and once more at the end, when it is complete.

    The header line names the columns as any of the known services does; other columns are ignored.
    A file with one plain address per line needs no header. ValidationFailed when the file is
    neither. Unless it `is_whole`, a last line without a line end is invalid.
    """
    report = ImportReport()
    requests = _requests(workspace, file, report, is_whole=is_whole)
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
    workspace: Workspace, file: Readable, report: ImportReport, *, is_whole: bool
) -> Iterator[SuppressionRequest]:
    at = timezone.now()
    records = read_records(file, is_header=is_header, is_whole=is_whole)
    first = next(records, None)
    if first is None:
        raise ValidationFailed({"file": "is empty"})
    columns = _columns(first)
    for record in records if columns else chain([first], records):
        report.lines += 1
        try:
            email, origin, is_known = _parse(record, columns or Columns(0))
        except ValueError as error:
            report.add_error(record.line, str(error))
        else:
            report.unknown_reasons += not is_known
            yield SuppressionRequest(workspace_id=workspace.pk, email=email, origin=origin, at=at)


def _columns(first: Record) -> Columns | None:
    """The columns that the first record names; None when it is an address."""
    if first.problem:
        raise ValidationFailed({"file": f"line {first.line} {first.problem}"})
    if len(first.cells) == 1 and "@" in first.cells[0]:
        return None
    try:
        return find_columns(first.cells)
    except ValueError as error:
        raise ValidationFailed({"file": str(error)}) from None


def _parse(record: Record, columns: Columns) -> tuple[str, str, bool]:
    """The address, the origin and whether it is a known one; ValueError says what is invalid.

    Excel leaves out empty cells at the end of a row, so reasons may be missing.
    """
    if record.problem:
        raise ValueError(record.problem)
    cells = record.cells
    if columns.email >= len(cells):
        raise ValueError("has no address: it has fewer cells than the header line")
    origin, is_known = parse_reason([cells[at] for at in columns.reasons if at < len(cells)])
    return _parse_address(cells[columns.email]), origin, is_known


def _parse_address(cell: str) -> str:
    if not cell.isascii() and any("\ud800" <= character <= "\udfff" for character in cell):
        # In another encoding than the one guessed, the address would be somebody else's.
        raise ValueError("has an address that is not UTF-8: save the file as CSV in UTF-8")
    return parse_suppressible_address(_without_escape(cell))


def _escape_formula(cell: str) -> str:
    """Keeps a spreadsheet from running the cell: OWASP, "CSV Injection"."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _without_escape(cell: str) -> str:
    """Reverts `_escape_formula`; `'=x` was escaped, `'x` was not."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _csv_bytes(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    plain, quoted = csv.writer(text), csv.writer(text, quoting=csv.QUOTE_ALL)
    for row in rows:
        escaped = [_escape_formula(cell) for cell in row]
        (plain if escaped == list(row) else quoted).writerow(escaped)
    return text.getvalue().encode()
