"""The two dialects of the API: what errors and lists look like.

`ROOT` is what the clients of Resend speak. `MAILBOX` is for `/v1/...`: camelCase names
(`core.api.bodies.CamelCaseBody`), pages by offset. A view names its dialect; for paths that no
view answers, the prefix decides (DIALECT_PREFIXES in an app's hooks.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from django.db.models import Model, QuerySet
from django.http import JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from pydantic import BaseModel, Field, create_model
from rest_framework.request import Request
from rest_framework.response import Response

from core import hooks
from core.api import pagination
from core.errors import DomainError

M = TypeVar("M", bound=Model)
T = TypeVar("T")

_LIMIT = OpenApiParameter(
    "limit",
    {
        "type": "integer",
        "minimum": 1,
        "maximum": pagination.MAX_LIMIT,
        "default": pagination.DEFAULT_LIMIT,
    },
    description=f"1 to {pagination.MAX_LIMIT}, {pagination.DEFAULT_LIMIT} by default",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error before a dialect writes it. `name` is stable, `message` is for people."""

    status: int
    name: str
    message: str
    details: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: DomainError) -> "Problem":
        return cls(error.status, error.name, error.message, error.details, error.headers)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list before a dialect writes it; `position` says where in the list it is."""

    data: Sequence[T]
    position: Mapping[str, Any]


class Dialect(ABC):
    """How errors and lists are written, and how pages are asked for."""

    name: ClassVar[str]
    error_model: ClassVar[type[BaseModel]]
    page_parameters: ClassVar[list[OpenApiParameter]]

    @abstractmethod
    def error(self, problem: Problem) -> dict[str, Any]:
        """The body of an error."""

    @abstractmethod
    def page(
        self,
        request: Request,
        rows: "QuerySet[M]",
        render: Callable[[M], T],
        *,
        column: str = "pk",
        prefix: str = "",
    ) -> Page[T]:
        """The page that the request asks for; ValidationFailed names a wrong parameter."""

    @abstractmethod
    def page_body(self, data: Sequence[Any], position: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a page."""

    @abstractmethod
    def page_model(self, model: type[BaseModel]) -> type[BaseModel]:
        """The schema of a page of these."""

    def error_response(self, problem: Problem) -> Response:
        """For views of REST framework."""
        return Response(self.error(problem), status=problem.status, headers=dict(problem.headers))

    def json_response(self, problem: Problem) -> JsonResponse:
        """For everything else."""
        return JsonResponse(
            self.error(problem), status=problem.status, headers=dict(problem.headers)
        )


class Error(BaseModel):
    """Every refusal: `name` is stable, `message` is for people, `details` depend on the name."""

    statusCode: int = Field(  # noqa: N815 (what the clients read)
        description="The HTTP status.", examples=[422]
    )
    name: str = Field(description="Stable: what programs decide by.", examples=["validation_error"])
    message: str = Field(
        description="For people; it may change.", examples=["`to`: must have an address"]
    )
    details: dict[str, Any] | None = Field(
        None,
        description="Depends on the name.",
        examples=[{"fields": {"to": "must have an address"}}],
    )


class RootDialect(Dialect):
    name = "root"
    error_model = Error
    page_parameters: ClassVar[list[OpenApiParameter]] = [
        _LIMIT,
        OpenApiParameter("after", OpenApiTypes.UUID, description="the id to go on after (older)"),
        OpenApiParameter("before", OpenApiTypes.UUID, description="the id to stop before (newer)"),
    ]

    def error(self, problem: Problem) -> dict[str, Any]:
        envelope: dict[str, Any] = {
            "statusCode": problem.status,
            "name": problem.name,
            "message": problem.message,
        }
        return envelope | {"details": problem.details} if problem.details else envelope

    def page(
        self,
        request: Request,
        rows: "QuerySet[M]",
        render: Callable[[M], T],
        *,
        column: str = "pk",
        prefix: str = "",
    ) -> Page[T]:
        shown, has_more = pagination.by_cursor(request, rows, column=column, prefix=prefix)
        return Page([render(row) for row in shown], {"has_more": has_more})

    def page_body(self, data: Sequence[Any], position: Mapping[str, Any]) -> dict[str, Any]:
        return {"object": "list", "data": data, **position}

    def page_model(self, model: type[BaseModel]) -> type[BaseModel]:
        return create_model(
            model.__name__ + "List",
            object=(str, "list"),
            data=(list[model], ...),  # type: ignore[valid-type]
            has_more=(bool, ...),
        )


class MailboxError(BaseModel):
    """Every refusal: `error` is stable, `message` is for people, `details` depend on the error."""

    error: str
    message: str
    details: dict[str, Any] | None = None


class MailboxDialect(Dialect):
    name = "mailbox"
    error_model = MailboxError
    page_parameters: ClassVar[list[OpenApiParameter]] = [
        _LIMIT,
        OpenApiParameter(
            "offset",
            {"type": "integer", "minimum": 0, "maximum": pagination.MAX_OFFSET, "default": 0},
            description="how many to skip",
        ),
    ]

    def error(self, problem: Problem) -> dict[str, Any]:
        envelope: dict[str, Any] = {"error": problem.name, "message": problem.message}
        return envelope | {"details": problem.details} if problem.details else envelope

    def page(
        self,
        request: Request,
        rows: "QuerySet[M]",
        render: Callable[[M], T],
        *,
        column: str = "pk",
        prefix: str = "",
    ) -> Page[T]:
        shown, position = pagination.by_offset(request, rows, column=column)
        return Page([render(row) for row in shown], position)

    def page_body(self, data: Sequence[Any], position: Mapping[str, Any]) -> dict[str, Any]:
        return {"data": data, **position}

    def page_model(self, model: type[BaseModel]) -> type[BaseModel]:
        return create_model(
            model.__name__ + "Page",
            data=(list[model], ...),  # type: ignore[valid-type]
            limit=(int, ...),
            offset=(int, ...),
            total=(int, ...),
        )


ROOT = RootDialect()
MAILBOX = MailboxDialect()
DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (ROOT, MAILBOX)}


def dialect_of(path: str) -> Dialect:
    """The dialect for a path that no view answers; every path answers under /api/... too."""
    path = path.removeprefix("/api")
    for prefix, name in _prefixes():
        if path.startswith(prefix):
            return DIALECTS[name]
    return ROOT


def _prefixes() -> Iterable[tuple[str, str]]:
    return hooks.collect("DIALECT_PREFIXES")
