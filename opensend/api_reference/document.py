"""`GET /openapi.json`: generated once in a process, since it takes half a second.

drf-spectacular keeps its state in the views' classes: two threads that generate at once both fail.
"""

import threading
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularJSONAPIView

_generating = threading.Lock()


class _KeptDocument(SchemaGenerator):
    """Gives the view the rendered document, whatever the request."""

    def get_schema(self, request: Any = None, public: bool = False) -> bytes:
        with _generating:
            return _document()


@cache
def _document() -> bytes:
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    schema = generator.get_schema(public=True)  # type: ignore[no-untyped-call]
    document: bytes = OpenApiJsonRenderer().render(schema, renderer_context={})
    return document


class _OpenApiJson(OpenApiJsonRenderer):
    def render(self, data: Any, *args: Any) -> Any:
        return data


class _Json(OpenApiJsonRenderer2):
    def render(self, data: Any, *args: Any) -> Any:
        return data


openapi_document = SpectacularJSONAPIView.as_view(
    generator_class=_KeptDocument, renderer_classes=[_OpenApiJson, _Json]
)
