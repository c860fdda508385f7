"""What the operations of the API have in common, described once and referred to by each."""

from collections.abc import Iterator
from typing import Any

from core.api.dialects import Error
from core.middleware import WELL_FORMED

_WHOLE = {"type": "integer", "minimum": 0}
_COMPONENTS: dict[str, dict[str, Any]] = {
    "parameters": {
        "x-request-id": {
            "name": "x-request-id",
            "in": "header",
            "description": "What to call this request, in its answer, in the log and in the events"
            " it leads to. Anything of another form is replaced by an id made here.",
            "schema": {"type": "string", "pattern": f"^{WELL_FORMED.pattern}$"},
        },
    },
    "headers": {
        "x-request-id": {
            "description": "The request's own, or one made here; to quote when something is wrong.",
            "schema": {"type": "string"},
        },
        "ratelimit-limit": {
            "description": "How many requests a second this key may make in the long run. The"
            " `ratelimit-` headers are left out when there is no limit or it can't be counted.",
            "schema": _WHOLE,
        },
        "ratelimit-remaining": {
            "description": "How many requests would pass at once.",
            "schema": _WHOLE,
        },
        "ratelimit-reset": {
            "description": "Seconds until as many requests as ever would pass at once.",
            "schema": _WHOLE,
        },
        "retry-after": {
            "description": "Seconds until the same request may succeed.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "Idempotent-Replayed": {
            "description": "Only on the answer to an earlier request with this Idempotency-Key.",
            "schema": {"type": "string", "const": "true"},
        },
    },
}
_REQUEST_ID = {"$ref": "#/components/parameters/x-request-id"}
_LIMITS = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
_ERRORS: dict[str, tuple[str, str, list[str]]] = {
    "4XX": ("Refused", "The request is refused; `name` says why.", _LIMITS),
    "409": (
        "Conflict",
        "Something else is in the way. With `concurrent_idempotent_requests` a request with this"
        " Idempotency-Key is still running, and `retry-after` says when to try again.",
        [*_LIMITS, "retry-after"],
    ),
    "429": (
        "TooManyRequests",
        "This key makes more requests than it may.",
        [*_LIMITS, "retry-after"],
    ),
    "500": ("InternalServerError", "Something broke here.", []),
    "503": ("Unavailable", "What this needs doesn't answer just now; try again.", _LIMITS),
}

Operation = dict[str, Any]


def with_required_bodies(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular requires a body when one of its fields is required, and nothing else."""
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
        for status, answer in operation["responses"].items():
            answer["headers"] = _headers(operation, status)
        operation.setdefault("parameters", []).append(_REQUEST_ID)
    return result


def with_common_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Of each operation that takes a key; of a 503, views themselves say whether it can be."""
    components = result["components"]
    components["schemas"]["Error"] = Error.model_json_schema()
    components["responses"] = dict(_error(*each) for each in _ERRORS.values())
    for operation in filter(_takes_key, _operations(result)):
        for status, (name, *_rest) in _ERRORS.items():
            if _may_answer(operation, status):
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


def _may_answer(operation: Operation, status: str) -> bool:
    match status:
        case "409":
            return _is_repeatable(operation)
        case "503":
            return status in operation["responses"]
        case _:
            return True


def _headers(operation: Operation, status: str) -> dict[str, Any]:
    names = ["x-request-id", *(_LIMITS if _takes_key(operation) else [])]
    if status.startswith("2") and _is_repeatable(operation):
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


def _takes_key(operation: Operation) -> bool:
    return bool(operation["security"])


def _is_repeatable(operation: Operation) -> bool:
    return any(each.get("name") == "Idempotency-Key" for each in operation.get("parameters", []))
