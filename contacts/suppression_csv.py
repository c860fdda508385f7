"""The list of suppressions as a CSV file (RFC 4180), in and out, whatever its length.

Files are read line by line: a line that is wrong is reported and costs no other. Neither way
holds more than a batch in memory or in one transaction, so an import that breaks off has done its
beginning; to repeat it changes nothing of that.
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
from contacts.addresses import suppressible
from contacts.models import Suppression, SuppressionQuerySet
from contacts.suppressions import SuppressionRequest, suppress
from core.errors import ValidationFailed
from core.times import iso

COLUMNS = ["email", "origin", "source_id", "created_at"]
BATCH = 1000
EXPORT_BATCH = 5000
MAX_ERRORS = 100
LONGEST_LINE = 10_000  # bytes
_CHUNK = 64 * 1024
_ORIGINS = set(Suppression.Origin.values)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class BadLine:
    line: int
    message: str


@dataclass(slots=True)
class Report:
    """What became of a file: how many lines, and the first of those that are wrong."""

    lines: int = 0
    added: int = 0
    invalid: int = 0
    errors: list[BadLine] = field(default_factory=list)

    @property
    def already_suppressed(self) -> int:
        return self.lines - self.added - self.invalid

    def refuse(self, line: int, message: str) -> None:
        self.invalid += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(BadLine(line, message))


class _Columns(NamedTuple):
    """Which cell of a line holds what."""

    email: int
    origin: int | None = None


def import_suppressions(workspace: Workspace, file: Readable) -> Iterator[Report]:
    """Suppress the addresses of a file; publishes as `suppress` does. Works as it is iterated over.

    Yields its one report after each batch and at the end, when it is complete.

    The first line names the columns `email` and, if there is one, `origin` or `reason`; other
    columns are not read. A file of addresses alone, one a line, needs no first line.
    ValidationFailed when it is neither.
    """
    report = Report()
    causes = _causes(workspace, file, report)
    while batch := list(islice(causes, BATCH)):
        report.added += len(suppress(batch))
        yield report
    yield report


def exported(rows: SuppressionQuerySet) -> Iterator[bytes]:
    """The file in pieces, oldest first; rows that are added meanwhile come last."""
    yield _written([COLUMNS])
    last: UUID | None = None
    while True:
        following = rows.filter(pk__gt=last) if last else rows
        batch = list(
            following.order_by("pk").values_list("pk", "email", "origin", "email_id", "created_at")[
                :EXPORT_BATCH
            ]
        )
        if not connection.in_atomic_block:
            connection.close()  # whoever reads slowly holds none meanwhile
        if not batch:
            return
        last = batch[-1][0]
        yield _written(
            [email, origin, str(source_id or ""), iso(at)]
            for _, email, origin, source_id, at in batch
        )


def _causes(workspace: Workspace, file: Readable, report: Report) -> Iterator[SuppressionRequest]:
    at = timezone.now()
    numbered = ((number, raw) for number, raw in enumerate(_lines(file), 1) if raw.strip())
    first = next(numbered, None)
    if first is None:
        raise ValidationFailed({"file": "is empty"})
    columns, is_header = _columns(first[1])
    for number, raw in numbered if is_header else chain([first], numbered):
        report.lines += 1
        try:
            email, origin = _read(raw, columns)
        except ValueError as error:
            report.refuse(number, str(error))
        else:
            yield SuppressionRequest(workspace_id=workspace.pk, email=email, origin=origin, at=at)


def _columns(first: bytes) -> tuple[_Columns, bool]:
    """What the first line says of the columns, and whether it is there for that alone."""
    try:
        names = [cell.lower() for cell in _cells(first)]
    except ValueError as error:
        raise ValidationFailed({"file": f"line 1 {error}"}) from None
    if "email" in names:
        origin = next((names.index(name) for name in ("origin", "reason") if name in names), None)
        return _Columns(names.index("email"), origin), True
    if len(names) == 1 and "@" in names[0]:
        return _Columns(0), False
    raise ValidationFailed(
        {"file": "must begin with a line that names its columns, `email` among them"}
    )


def _read(raw: bytes, columns: _Columns) -> tuple[str, str]:
    """The address and the origin; ValueError says what is wrong with the line."""
    cells = _cells(raw)
    if len(cells) <= max(columns.email, columns.origin or 0):
        raise ValueError("has fewer cells than the first line")
    origin = cells[columns.origin].lower() if columns.origin is not None else ""
    if origin and origin not in _ORIGINS:
        raise ValueError(f"`{origin[:100]}` is none of {', '.join(sorted(_ORIGINS))}")
    return suppressible(cells[columns.email]), origin or Suppression.Origin.MANUAL


def _cells(raw: bytes) -> list[str]:
    """Each line by itself, so that a quote that is never closed doesn't swallow those after it."""
    if len(raw) > LONGEST_LINE:
        raise ValueError(f"has more than {LONGEST_LINE:,} bytes")
    text = raw.decode(errors="replace").lstrip("\ufeff")
    try:
        return [cell.strip() for cell in next(csv.reader([text], strict=True), [])]
    except csv.Error as error:
        raise ValueError(f"is not CSV: {error}") from None


def _lines(file: Readable) -> Iterator[bytes]:
    """Without their ends; of one that is too long, only as much as shows that."""
    rest = b""
    while chunk := file.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        rest = rest[: LONGEST_LINE + 1]
    if rest:
        yield rest


def _written(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
