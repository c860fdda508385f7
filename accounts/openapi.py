"""The OpenAPI document of operations: made of what `@operation` knows of each."""

from inspect import cleandoc
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from core.api.openapi import IDEMPOTENCY_KEY, operation_id

API_KEY_SCHEME = "api_key"


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """drf-spectacular finds it once imported."""

    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = API_KEY_SCHEME

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "os_…",
            "description": "An API key: `Authorization: Bearer os_...`. The names that an operation"
            " lists are the scopes it needs.",
        }


class OperationSchema(AutoSchema):
    @property
    def _operation(self) -> Any:
        """The accounts.operation.Operation of the method that is described."""
        return getattr(self.view, self.method.lower()).operation

    @property
    def _api_view(self) -> Any:
        """An accounts.views.ApiView, which imports this module."""
        return self.view

    def get_operation_id(self) -> str:
        return operation_id(self._operation.summary)

    def get_summary(self) -> str:
        summary: str = self._operation.summary
        return summary

    def get_description(self) -> str:  # type: ignore[override]
        """The docstring of the method or of its view, never one that the view inherits."""
        handler = getattr(self.view, self.method.lower())
        return cleandoc(handler.__doc__ or vars(type(self.view)).get("__doc__") or "")

    def get_tags(self) -> list[str]:
        return [self._api_view.tag]

    def get_auth(self) -> list[dict[str, list[str]]]:
        needs = self._operation.needs
        scopes = [needs.value] if needs else []
        schemes = super().get_auth()  # describes them in the document
        return [dict.fromkeys(scheme, scopes) for scheme in schemes]

    def get_override_parameters(self) -> list[Any]:
        operation = self._operation
        pages = self._api_view.dialect.page_parameters if operation.is_page else []
        keys = [IDEMPOTENCY_KEY] if operation.is_idempotent else []
        named = {each.name for each in operation.parameters}
        return [
            *(each for each in pages if each.name not in named),
            *keys,
            *operation.parameters,
        ]

    def get_request_serializer(self) -> Any:
        operation = self._operation
        return operation.reader.schema if operation.reader else operation.body

    def get_response_serializers(self) -> Any:
        operation, dialect = self._operation, self._api_view.dialect
        answer = dialect.page_model(operation.answer) if operation.is_page else operation.answer
        key: Any = operation.status
        if operation.media_type != "application/json":
            key = operation.status, operation.media_type
        return {key: answer} | dict.fromkeys(operation.errors, dialect.error_model)
