"""Adjusts the OpenAPI schema: hides alias paths and adds paths that are not API views."""

from typing import Any

Endpoint = tuple[str, str, str, Any]

_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_JSON = {"application/json": {"schema": {"type": "object", "additionalProperties": True}}}
_ERROR = {
    "description": "",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_PLAIN: dict[str, dict[str, Any]] = {
    "/events/ses": {
        "post": {
            "operationId": "receive_ses_events",
            "summary": "Take in a message of Amazon SNS",
            "description": "Authenticated by the message's own signature.",
            "tags": ["Callbacks"],
            "requestBody": {"content": {"text/plain": {"schema": {"type": "string"}}}},
            "responses": {
                "200": {"description": "Stored", "content": _TEXT},
                "4XX": _ERROR,
                "503": _ERROR,
            },
        }
    },
    "/healthz": {
        "get": {
            "operationId": "healthz",
            "summary": "Does the process answer?",
            "tags": ["Operation"],
            "responses": {"200": {"description": "The process responds", "content": _JSON}},
        }
    },
    "/readyz": {
        "get": {
            "operationId": "readyz",
            "summary": "Can requests be served? How old is the oldest due row of each queue?",
            "tags": ["Operation"],
            "responses": {
                "200": {"description": "Ready", "content": _JSON},
                "503": {"description": "Not ready", "content": _JSON},
            },
        }
    },
    "/metrics": {
        "get": {
            "operationId": "metrics",
            "summary": "Counters and queues for Prometheus",
            "tags": ["Operation"],
            "responses": {"200": {"description": "Text format", "content": _TEXT}},
        }
    },
}


def only_canonical_paths(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Every path is also served under /api/...; document it once."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith("/api/")]


def with_plain_paths(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the plain paths, which need no API key."""
    for path, methods in _PLAIN.items():
        result["paths"][path] = {
            method: operation | {"security": []} for method, operation in methods.items()
        }
    return result
