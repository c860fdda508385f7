"""`/suppressions/export` and `/suppressions/import`: the whole list as a CSV file."""

from collections.abc import Iterator, Mapping
from contextvars import copy_context
from typing import IO, Any, Literal, TypeVar

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from pydantic import BaseModel
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request

from accounts.authentication import ApiRequest
from accounts.views import ApiView
from contacts import suppression_csv
from contacts.api.suppressions import FILTERS, filtered
from core.api.openapi import describe
from core.errors import ValidationFailed
from core.middleware import UNTOLD

T = TypeVar("T")

_NO_FILE = "must be sent as a file: its part of the form needs a filename"


class CsvParser(BaseParser):
    """Leaves the body to be read piece by piece, and names it as forms do."""

    media_type = "text/csv"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, suppression_csv.Readable]:
        length = (parser_context or {})["request"].META["CONTENT_LENGTH"]
        return {"file": stream if length == UNTOLD else _Told(stream, int(length))}


class _Told:
    """A body that is as long as it told. The server ends one that broke off like a whole one, and
    an address that is cut off is somebody else's."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int, /) -> bytes:
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        if not chunk and self._left > 0:
            raise ValidationFailed({"file": f"ends {self._left:,} bytes before it should"})
        return chunk


class FormParser(MultiPartParser):
    """A form with the file in it; what is wrong with the form is said of the file."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except ParseError:
            problem = "cannot be read: the Content-Type must name the boundary of the form's parts"
        except RequestDataTooBig:
            problem = f"{_NO_FILE}, and the other fields of the form are too large"
        except (TooManyFieldsSent, TooManyFilesSent):
            problem = "must be the only field of the form, and there are too many others"
        raise ValidationFailed({"file": problem})


class BadLineOut(BaseModel):
    line: int
    message: str


class SuppressionImport(BaseModel):
    """`lines` are those with an address, good or bad. `errors` has the first 100 bad ones."""

    object: Literal["suppression_import"] = "suppression_import"
    lines: int
    added: int
    already_suppressed: int
    invalid: int
    errors: list[BadLineOut]


class ExportSuppressionsView(ApiView):
    @describe(
        "Export suppressions",
        response=OpenApiTypes.STR,
        status=(200, "text/csv"),
        parameters=FILTERS,
        tag="Suppressions",
    )
    def get(self, request: ApiRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(
            suppression_csv.exported(filtered(request)),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="suppressions.csv"'},
        )

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # The renderers are for refusals: whoever asks for text/csv gets those in JSON.
        return super().perform_content_negotiation(request, force=True)


class ImportSuppressionsView(ApiView):
    parser_classes = [CsvParser, FormParser]

    @describe(
        "Import suppressions",
        request={
            "text/csv": OpenApiTypes.STR,
            "multipart/form-data": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            },
        },
        response=SuppressionImport,
        tag="Suppressions",
    )
    def post(self, request: ApiRequest) -> StreamingHttpResponse:
        reports = suppression_csv.import_suppressions(request.auth.workspace, _file(request))
        first = next(reports)  # what is no such file is refused before the answer begins
        return StreamingHttpResponse(
            _told(first, _in_this_context(reports)), content_type="application/json"
        )


def _told(
    report: suppression_csv.Report, following: Iterator[suppression_csv.Report]
) -> Iterator[bytes]:
    """The report as JSON, once it is complete.

    Until then a space a batch, which JSON allows ahead of it (RFC 8259 section 2): a proxy gives up
    an answer that doesn't begin, or pauses, for longer than a minute or so.
    """
    yield b" "
    for _ in following:
        yield b" "
    done = SuppressionImport(
        lines=report.lines,
        added=report.added,
        already_suppressed=report.already_suppressed,
        invalid=report.invalid,
        errors=[BadLineOut(line=bad.line, message=bad.message) for bad in report.errors],
    )
    yield done.model_dump_json().encode()


def _in_this_context(steps: Iterator[T]) -> Iterator[T]:
    """Servers iterate when the view is long over, and the events are still of this request."""
    context = copy_context()
    return iter(lambda: context.run(next, steps, None), None)


def _file(request: ApiRequest) -> suppression_csv.Readable:
    data: Any = request.data
    sent = data.get("file")
    if not hasattr(sent, "read"):
        problem = "is required" if sent is None else _NO_FILE
        raise ValidationFailed({"file": problem}, name="missing_required_field")
    file: suppression_csv.Readable = sent
    return file
