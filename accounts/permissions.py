"""What a caller may do: the scope that the operation needs. A view without operations is closed."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.access import Access


class HasScope(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        """ScopeMissing when the caller lacks the scope."""
        if not isinstance(request.auth, Access):
            return False
        method = (request.method or "").lower()
        handler = getattr(view, method, None)
        if handler is None or method == "options":  # DRF answers these itself
            return True
        if not hasattr(handler, "operation"):
            return False
        if needs := handler.operation.needs:
            request.auth.require(needs)
        return True
