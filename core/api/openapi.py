"""How views describe themselves: request and response are pydantic models, errors are ours."""

import re
from collections.abc import Callable
from typing import Any

from drf_spectacular.contrib.pydantic import PydanticExtension
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from pydantic import BaseModel, create_model

from core.api.pagination import DEFAULT_LIMIT, MAX_LIMIT

_COMPONENT = "#/components/schemas/{model}"


class Error(BaseModel):
    """Every refusal: `name` is stable, `message` is for people, `details` depend on the name."""

    statusCode: int  # noqa: N815 (what the clients read)
    name: str
    message: str
    details: dict[str, Any] | None = None


PAGE = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        description=f"1 to {MAX_LIMIT}, {DEFAULT_LIMIT} unless told",
    ),
    OpenApiParameter("after", OpenApiTypes.UUID, description="the id to go on after (older)"),
    OpenApiParameter("before", OpenApiTypes.UUID, description="the id to stop before (newer)"),
]
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 256},
    OpenApiParameter.HEADER,
    description="1 to 256 characters; a repetition within 24 hours gets the first answer",
)


def describe(
    summary: str,
    *,
    request: Any = None,
    response: Any,
    status: int | tuple[int, str] = 200,
    parameters: list[OpenApiParameter] | None = None,
    also: tuple[int, ...] = (),
    tag: str,
) -> Callable[[Any], Any]:
    """What the schema says of one method of a view; its operation is named after the summary.

    `status` names the answer's media type too when that isn't JSON. `also` are statuses of errors
    beside those that every operation may answer with (opensend.openapi).
    """
    return extend_schema(
        operation_id=_operation_id(summary),
        summary=summary,
        request=request,
        responses={status: response} | dict.fromkeys(also, Error),
        parameters=parameters or [],
        tags=[tag],
    )


def list_of(model: type[BaseModel]) -> type[BaseModel]:
    """The schema of one page of a list of these (core.api.pagination)."""
    return create_model(
        model.__name__ + "List",
        object=(str, "list"),
        data=(list[model], ...),  # type: ignore[valid-type]
        has_more=(bool, ...),
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


def _operation_id(summary: str) -> str:
    words = re.findall(r"[a-z0-9]+", summary.lower())
    return "_".join(word for word in words if word not in {"a", "an", "the"})
