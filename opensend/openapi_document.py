"""`GET /openapi.json`: generated once in a process, since it takes half a second.

drf-spectacular keeps its state in the views' classes: two threads that generate at once both fail.
"""

import threading
from functools import cache

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.request import Request

_generating = threading.Lock()


class OpenApiDocumentView(SpectacularJSONAPIView):
    """Of the request only `Accept` counts."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        with _generating:
            document = _document()
        return HttpResponse(
            document,
            content_type=request.accepted_renderer.media_type,
            headers={"Content-Disposition": 'inline; filename="OpenSend.json"'},
        )


@cache
def _document() -> bytes:
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    schema = generator.get_schema(public=True)  # type: ignore[no-untyped-call]
    document: bytes = OpenApiJsonRenderer().render(schema, renderer_context={})
    return document
