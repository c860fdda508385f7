"""`/suppressions/export` and `/suppressions/import`: suppressions as a CSV file."""

from collections.abc import Iterator, Mapping
from contextvars import copy_context
from typing import IO, Any, TypeVar

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request

from accounts.access import Access, Scope
from accounts.operation import BodyReader, operation
from accounts.views import ApiView
from contacts import suppression_csv
from contacts.api.representations import SuppressionImport, represent_import
from contacts.api.suppressions import FILTERS, filtered
from core.errors import ValidationFailed
from core.server.wsgi import CHUNKED

T = TypeVar("T")

_NO_FILE = "must be uploaded as a file: its form part needs a filename"


class CsvParser(BaseParser):
    """Returns the unread body as `file`, as a form would, so that it is read in chunks."""

    media_type = "text/csv"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, suppression_csv.Upload]:
        is_chunked = (parser_context or {})["request"].META.get(CHUNKED, False)
        return {"file": suppression_csv.Upload(stream, is_whole=not is_chunked)}


class FormParser(MultiPartParser):
    """A form with a `file` part; errors in the form are reported as errors of `file`.

    Django leaves out a file that no boundary ends, so that a truncated one is missing.
    """

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except ParseError:
            problem = "could not be parsed: the Content-Type must include the multipart boundary"
        except RequestDataTooBig:
            problem = f"{_NO_FILE}, and the other form fields are too large"
        except (TooManyFieldsSent, TooManyFilesSent):
            problem = "must be the only field of the form: it has too many others"
        raise ValidationFailed({"file": problem})


def _read_file(request: Request, access: Access) -> suppression_csv.Upload:
    data: Any = request.data
    upload = data.get("file")
    if isinstance(upload, suppression_csv.Upload):
        return upload
    if not hasattr(upload, "read"):
        problem = "is required" if upload is None else _NO_FILE
        raise ValidationFailed({"file": problem}, name="missing_required_field")
    return suppression_csv.Upload(upload)


FILE = BodyReader(
    schema={
        "text/csv": OpenApiTypes.STR,
        "multipart/form-data": {
            "type": "object",
            "properties": {"file": {"type": "string", "format": "binary"}},
            "required": ["file"],
        },
    },
    read=_read_file,
)


class ExportSuppressionsView(ApiView):
    tag = "Suppressions"

    @operation(
        "Export suppressions",
        needs=Scope.SUPPRESSIONS_READ,
        answers=OpenApiTypes.STR,
        media_type="text/csv",
        parameters=FILTERS,
    )
    def get(self, access: Access) -> StreamingHttpResponse:
        rows = filtered(access, self.request.query_params)
        return StreamingHttpResponse(
            suppression_csv.export_suppressions(rows),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="suppressions.csv"'},
        )

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # The renderers are for errors only, which are JSON even with `Accept: text/csv`.
        return super().perform_content_negotiation(request, force=True)


class ImportSuppressionsView(ApiView):
    tag = "Suppressions"
    parser_classes = [CsvParser, FormParser]

    @operation(
        "Import suppressions",
        needs=Scope.SUPPRESSIONS_WRITE,
        reads=FILE,
        answers=SuppressionImport,
    )
    def post(self, access: Access, body: suppression_csv.Upload) -> StreamingHttpResponse:
        reports = suppression_csv.import_suppressions(
            access.workspace, body.file, is_whole=body.is_whole
        )
        report = next(reports)  # an invalid file is refused before the response starts
        return StreamingHttpResponse(
            _stream_report(report, _in_this_context(reports)), content_type="application/json"
        )


def _stream_report(
    report: suppression_csv.ImportReport, updates: Iterator[suppression_csv.ImportReport]
) -> Iterator[bytes]:
    """The report as JSON, once it is complete.

    Sends a space per batch until then, which JSON allows before a value (RFC 8259 section 2):
    proxies time out when a response doesn't start, or pauses, for about a minute.
    """
    yield b" "
    for _ in updates:
        yield b" "
    yield represent_import(report).model_dump_json().encode()


def _in_this_context(steps: Iterator[T]) -> Iterator[T]:
    """The server iterates after the view returned, but the events belong to this request."""
    context = copy_context()
    return iter(lambda: context.run(next, steps, None), None)
