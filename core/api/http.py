"""JSON in and out, by orjson: strict UTF-8, no NaN, no lone surrogates, bounded nesting."""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import IO, Any, TypeVar

import orjson
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import NotAcceptable, ParseError, UnsupportedMediaType
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.error_handlers import method_not_allowed
from core.errors import PayloadTooLarge

R = TypeVar("R", bound=HttpResponseBase)

# Of brackets that are never closed orjson says the latter, from some two hundred on.
_TOO_DEEP = ("depth limit exceeded", "failed to allocate memory")


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
            if error.msg.startswith(_TOO_DEEP):
                raise ParseError("The request body is nested too deeply.") from error
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
    """Without weighing what most clients accept: anything, or JSON. Refusals name what there is."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        if parser := super().select_parser(request, parsers):
            return parser
        given, taken = request.content_type, _kinds(parsers)
        raise UnsupportedMediaType(
            given, f"The Content-Type must be {taken}; this one is `{given[:100]}`."
        )

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        first, *others = renderers
        accepted = request.META.get("HTTP_ACCEPT", "*/*")
        if accepted in ("*/*", first.media_type) and not others:
            return first, first.media_type
        try:
            weighed: tuple[BaseRenderer, str] = super().select_renderer(
                request, renderers, format_suffix
            )
        except NotAcceptable as refusal:
            request.accepted_renderer, request.accepted_media_type = _REFUSALS, _REFUSALS.media_type
            raise NotAcceptable(
                f"The answer is {_kinds(renderers)}, which the header Accept doesn't allow."
            ) from refusal
        return weighed


_REFUSALS = JSONRenderer()


def _kinds(those: Iterable[BaseParser | BaseRenderer]) -> str:
    return " or ".join(str(each.media_type) for each in those)


def answering(*methods: str) -> Callable[[Callable[..., R]], Callable[..., R | JsonResponse]]:
    """For views without a key: other methods get their 405 in JSON.

    There is no session behind such a view that another site could misuse.
    """

    def decorate(view: Callable[..., R]) -> Callable[..., R | JsonResponse]:
        @csrf_exempt
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **named: Any) -> R | JsonResponse:
            if request.method not in methods:
                return method_not_allowed(request, methods)
            return view(request, *args, **named)

        return checked

    return decorate


def uncached(response: Response) -> Response:
    """For answers with a secret: nothing on the way keeps a copy (RFC 9111, 5.2.2.5)."""
    response["Cache-Control"] = "no-store"
    return response
