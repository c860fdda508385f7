"""What a key may do. Full access is asked for unless a view says otherwise."""

from typing import Any

from rest_framework import exceptions, permissions
from rest_framework.request import Request

from accounts.models import ApiKey


class FullAccess(permissions.BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, ApiKey) and request.auth.is_restricted:
            raise exceptions.PermissionDenied(
                "This API key may only send emails. Use a key with `full_access`."
            )
        return request.auth is not None


class SendingAccess(permissions.BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return request.auth is not None
