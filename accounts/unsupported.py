"""Paths that the clients of Resend know and this installation doesn't have: 404 with advice."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema

from accounts.access import Access
from accounts.operation import operation
from accounts.views import ApiView
from core.errors import NotFound


@extend_schema(exclude=True)
class UnsupportedEndpoint(ApiView):
    """404 to every method, with `because` as its message."""

    because: ClassVar[str] = ""

    @operation("Unsupported", needs=None)
    def get(self, access: Access, **path: str) -> NotFound:
        return NotFound(self.because)

    post = put = patch = delete = get
