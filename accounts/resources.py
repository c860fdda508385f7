"""The base of every API view: rate-limit headers, and ids that may be malformed."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from core.errors import NotFound


class ApiView(APIView):
    request: ApiRequest

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        if verdict := getattr(request._request, "rate_limit", None):
            for name, value in verdict.headers().items():
                final[name] = value
        return final


def as_id(given: str, what: str) -> UUID:
    """A malformed id in a path is a thing that doesn't exist, so 404."""
    try:
        return UUID(given)
    except ValueError:
        raise NotFound(f"There is no {what} `{given}`.") from None
