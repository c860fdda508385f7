"""How views describe themselves: request and response are pydantic models, errors are ours."""

import re
from collections.abc import Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from pydantic import BaseModel, create_model


class Error(BaseModel):
    """Every refusal: `name` is stable, `message` is for people, `details` depend on the name."""

    statusCode: int  # noqa: N815 (what the clients read)
    name: str
    message: str
    details: dict[str, Any] | None = None


PAGE = [
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 100, 20 unless told"),
    OpenApiParameter("after", OpenApiTypes.UUID, description="the id to go on after (older)"),
    OpenApiParameter("before", OpenApiTypes.UUID, description="the id to stop before (newer)"),
]
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
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
    tag: str,
) -> Callable[[Any], Any]:
    """What the schema says of one method of a view; its operation is named after the summary.

    `status` names the answer's media type too when that isn't JSON.
    """
    return extend_schema(
        operation_id=_operation_id(summary),
        summary=summary,
        request=request,
        responses={status: response, "4XX": Error},
        parameters=parameters or [],
        tags=[tag],
    )


def list_of(model: type[BaseModel]) -> type[BaseModel]:
    """The schema of one page of a list of these (core.pagination)."""
    return create_model(
        model.__name__ + "List",
        object=(str, "list"),
        data=(list[model], ...),  # type: ignore[valid-type]
        has_more=(bool, ...),
    )


def _operation_id(summary: str) -> str:
    words = re.findall(r"[a-z0-9]+", summary.lower())
    return "_".join(word for word in words if word not in {"a", "an", "the"})
