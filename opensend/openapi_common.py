"""Shared OpenAPI components (headers, errors), defined once and referenced by each operation."""

from collections.abc import Iterator
from typing import Any

from core.api.dialects import Error
from core.middleware import REQUEST_ID_PATTERN

_COUNT = {"type": "integer", "minimum": 0}
_COMPONENTS: dict[str, dict[str, Any]] = {
    "parameters": {
        "x-request-id": {
            "name": "x-request-id",
            "in": "header",
            "description": "The id of this request in its response, in the logs and in the events"
            " it causes. A value in another format is replaced by a generated id.",
            "schema": {"type": "string", "pattern": f"^{REQUEST_ID_PATTERN.pattern}$"},
        },
    },
    "headers": {
        "x-request-id": {
            "description": "The id sent with the request, or a generated one; quote it when"
            " asking for help.",
            "schema": {"type": "string"},
        },
        "ratelimit-limit": {
            "description": "Requests per second that this key may make on average. The"
            " `ratelimit-` headers are omitted without a limit or while it cannot be enforced.",
            "schema": _COUNT,
        },
        "ratelimit-remaining": {
            "description": "Requests that can be made immediately.",
            "schema": _COUNT,
        },
        "ratelimit-reset": {
            "description": "Seconds until the full burst is available again.",
            "schema": _COUNT,
        },
        "retry-after": {
            "description": "Seconds to wait before retrying.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "Idempotent-Replayed": {
            "description": "Present if this is the stored response to an earlier request with this"
            " Idempotency-Key.",
            "schema": {"type": "string", "const": "true"},
        },
    },
}
_REQUEST_ID = {"$ref": "#/components/parameters/x-request-id"}
_LIMITS = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
_ERRORS: dict[str, tuple[str, str, list[str]]] = {
    "4XX": ("Refused", "The request was rejected; `name` is the reason.", _LIMITS),
    "409": (
        "Conflict",
        "The request conflicts with the current state. `concurrent_idempotent_requests` means that"
        " a request with this Idempotency-Key is still running; retry after `retry-after` seconds.",
        [*_LIMITS, "retry-after"],
    ),
    "429": (
        "TooManyRequests",
        "The rate limit of this key is exceeded, or too many requests from this address had no"
        " valid key: then the `ratelimit-` headers are absent, and a valid key is accepted.",
        [*_LIMITS, "retry-after"],
    ),
    "500": ("InternalServerError", "An unexpected error on our side.", []),
    "503": (
        "Unavailable",
        "Too many requests are waiting (`overloaded`), or something that this one needs can't be"
        " used at the moment; retry after `retry-after` seconds.",
        [*_LIMITS, "retry-after"],
    ),
}

Operation = dict[str, Any]


def with_required_bodies(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular marks a body as required only if one of its fields is required."""
    schemas = result["components"]["schemas"]
    for operation in _operations(result):
        body = operation.get("requestBody")
        if body and not any(_may_be_empty(each, schemas) for each in body["content"].values()):
            body["required"] = True
    return result


def with_common_headers(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    for kind, members in _COMPONENTS.items():
        result["components"].setdefault(kind, {}).update(members)
    for operation in _operations(result):
        for status, response in operation["responses"].items():
            response["headers"] = _headers(operation, status)
        operation.setdefault("parameters", []).append(_REQUEST_ID)
    return result


def with_common_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the shared errors to all operations with a key."""
    components = result["components"]
    components["schemas"]["Error"] = Error.model_json_schema()
    components["responses"] = dict(_error(*each) for each in _ERRORS.values())
    for operation in filter(_needs_key, _operations(result)):
        for status, (name, *_rest) in _ERRORS.items():
            if _can_return(operation, status):
                operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    return result


def _operations(result: dict[str, Any]) -> Iterator[Operation]:
    for methods in result["paths"].values():
        yield from methods.values()


def _may_be_empty(content: dict[str, Any], schemas: dict[str, Any]) -> bool:
    schema = content["schema"]
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    rules = [schema, *schema.get("allOf", [])]
    return schema["type"] == "object" and not any(
        rule.keys() & {"required", "oneOf", "anyOf"} for rule in rules
    )


def _can_return(operation: Operation, status: str) -> bool:
    match status:
        case "409":
            return _is_idempotent(operation)
        case _:
            return True


def _headers(operation: Operation, status: str) -> dict[str, Any]:
    names = ["x-request-id", *(_LIMITS if _needs_key(operation) else [])]
    if status.startswith("2") and _is_idempotent(operation):
        names.append("Idempotent-Replayed")
    return _refs(names)


def _error(name: str, description: str, headers: list[str]) -> tuple[str, dict[str, Any]]:
    schema = {"$ref": "#/components/schemas/Error"}
    return name, {
        "description": description,
        "headers": _refs(["x-request-id", *headers]),
        "content": {"application/json": {"schema": schema}},
    }


def _refs(headers: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


def _needs_key(operation: Operation) -> bool:
    return bool(operation["security"])


def _is_idempotent(operation: Operation) -> bool:
    return any(each.get("name") == "Idempotency-Key" for each in operation.get("parameters", []))
