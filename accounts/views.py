"""The base of every API view: its dialect, rate-limit headers, and the rows that a caller names."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http.response import HttpResponseBase
from pydantic import BaseModel
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from accounts.openapi import OperationSchema
from core.api.dialects import ROOT, Dialect, Page, Problem
from core.errors import DomainError, NotFound

M = TypeVar("M", bound=Model)
T = TypeVar("T", bound=BaseModel)


class ApiView(APIView):
    """One resource; each method is an `@operation`. `tag` groups them in the OpenAPI document."""

    request: ApiRequest
    schema = OperationSchema()
    dialect: ClassVar[Dialect] = ROOT
    tag: ClassVar[str] = ""

    def page(
        self,
        rows: "QuerySet[M]",
        render: Callable[[M], T],
        *,
        column: str = "pk",
        prefix: str = "",
    ) -> Page[T]:
        """The page that the request asks for, newest first by `column` (core.api.pagination)."""
        return self.dialect.page(self.request, rows, render, column=column, prefix=prefix)

    def respond(self, result: Any, status: int) -> HttpResponseBase:
        """What an operation returned as its answer."""
        if isinstance(result, HttpResponseBase):
            return result
        if isinstance(result, DomainError):
            return self.dialect.error_response(Problem.of(result))
        if isinstance(result, Page):
            rows = [row.model_dump(by_alias=True) for row in result.data]
            return Response(self.dialect.page_body(rows, result.position), status=status)
        return Response(result.model_dump(by_alias=True), status=status)

    def check_permissions(self, request: Request) -> None:
        # DRF checks permissions first, and requests that they refuse would not count.
        super().check_throttles(request)
        super().check_permissions(request)

    def check_throttles(self, request: Request) -> None:
        """Done by check_permissions."""

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        if verdict := getattr(request._request, "rate_limit", None):
            for name, value in verdict.headers().items():
                final[name] = value
        if isinstance(final, Response):
            final.add_post_render_callback(partial(_release, self))
        return final


def _release(view: ApiView, response: Any) -> None:
    """Break the reference cycle of the view, its request and the response.

    Otherwise the request, up to 40 MiB of attachments, stays in memory until the next collection.
    """
    view.request.parser_context.clear()
    response.renderer_context = {}
    vars(view).clear()


def find(rows: "QuerySet[M]", given: str, what: str) -> M:
    """The row with this id among those the caller may see; NotFound for any other.

    A malformed id in a path doesn't exist either.
    """
    try:
        found = rows.filter(pk=UUID(given)).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"There is no {what} `{given}`.")
    return found
