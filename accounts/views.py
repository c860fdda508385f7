"""The base of every API view: rate-limit headers, and ids that may be malformed."""

from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from core.errors import NotFound

M = TypeVar("M", bound=Model)


class ApiView(APIView):
    request: ApiRequest

    def check_permissions(self, request: Request) -> None:
        # DRF asks for these first, and what they refuse would neither count nor tell the limit.
        super().check_throttles(request)
        super().check_permissions(request)

    def check_throttles(self, request: Request) -> None:
        """Already done."""

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        if verdict := getattr(request._request, "rate_limit", None):
            for name, value in verdict.headers().items():
                final[name] = value
        if isinstance(final, Response):
            final.add_post_render_callback(partial(_untie, self))
        return final


def _untie(view: ApiView, response: Any) -> None:
    """DRF ties the view, its request and the answer to a ring, which only the collector unties.

    What the request brought, up to 40 MiB of attachments, would stay in memory until then.
    """
    view.request.parser_context.clear()
    response.renderer_context = {}
    vars(view).clear()


def find(rows: "QuerySet[M]", given: str, what: str) -> M:
    """The row with this id among those the caller may see; NotFound for any other.

    A malformed id in a path is a thing that doesn't exist too.
    """
    try:
        found = rows.filter(pk=UUID(given)).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"There is no {what} `{given}`.")
    return found
