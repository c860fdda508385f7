"""JSON in and out, by orjson: strict UTF-8, no NaN, no lone surrogates, bounded nesting."""

from collections.abc import Iterable, Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import PayloadTooLarge


class JSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.API_MAX_BODY_BYTES
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise PayloadTooLarge(f"The request body is larger than {limit} bytes.")
        if not raw:
            return {}
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The request body is not valid JSON: {error}.") from error


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data, option=orjson.OPT_UTC_Z)


class JSONNegotiation(DefaultContentNegotiation):
    """Without weighing what most clients accept: anything, or JSON."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        first, *others = renderers
        accepted = request.META.get("HTTP_ACCEPT", "*/*")
        is_plain = accepted in ("*/*", first.media_type) and not request.META.get("QUERY_STRING")
        if is_plain and not others:
            return first, first.media_type
        weighed: tuple[BaseRenderer, str] = super().select_renderer(
            request, renderers, format_suffix
        )
        return weighed


def uncached(response: Response) -> Response:
    """For answers with a secret: nothing on the way keeps a copy (RFC 9111, 5.2.2.5)."""
    response["Cache-Control"] = "no-store"
    return response
