"""Paths that the clients know and that lead nowhere here: each says so, and what to do instead."""

from typing import ClassVar, NoReturn

from drf_spectacular.utils import extend_schema

from accounts.authentication import ApiRequest
from accounts.views import ApiView
from core.errors import NotFound


@extend_schema(exclude=True)
class UnsupportedEndpoint(ApiView):
    """404 to every method, with `because` as its message."""

    because: ClassVar[str] = ""

    def get(self, request: ApiRequest, **kwargs: str) -> NoReturn:
        raise NotFound(self.because)

    post = put = patch = delete = get
