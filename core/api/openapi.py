"""Parts of the OpenAPI document: requests are pydantic models."""

import re
from typing import Any

from drf_spectacular.contrib.pydantic import PydanticExtension
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter

_COMPONENT = "#/components/schemas/{model}"


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 256},
    OpenApiParameter.HEADER,
    description="1 to 256 characters; a repetition within 24 hours gets the first answer",
)


class RequestSchema(PydanticExtension):  # type: ignore[no-untyped-call]
    """Describes requests as they are read; drf-spectacular itself describes what models write.

    The two differ in names: only what is read goes by its aliases.
    """

    target_class = "core.api.bodies.RequestBody"
    priority = 1

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = self.target.model_json_schema(ref_template=_COMPONENT)
        for name, part in schema.pop("$defs", {}).items():
            component = ResolvedComponent(  # type: ignore[no-untyped-call]
                name=name, type=ResolvedComponent.SCHEMA, object=name, schema=part
            )
            auto_schema.registry.register_on_missing(component)
        if auto_schema.method == "PATCH":
            # What isn't named stays as it is, whatever the model fills in for it.
            for field in schema["properties"].values():
                field.pop("default", None)
        return schema


def operation_id(summary: str) -> str:
    """`Rotate a signing secret` -> `rotate_signing_secret`."""
    words = re.findall(r"[a-z0-9]+", summary.lower())
    return "_".join(word for word in words if word not in {"a", "an", "the"})
