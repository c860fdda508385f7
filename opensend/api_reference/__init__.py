"""Descriptions and examples of the OpenAPI document: what a reader of /docs sees and tries out.

A description in the code (a docstring, a pydantic Field) wins over one from here.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from opensend.api_reference.bodies import BODIES
from opensend.api_reference.fields import FIELDS
from opensend.api_reference.operations import OPERATIONS, PARAMETERS

Schema = dict[str, Any]


def with_descriptions(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    for operation in _operations(result):
        name = operation["operationId"]
        if name in OPERATIONS:
            operation.setdefault("description", OPERATIONS[name])
        for parameter in operation.get("parameters", []):
            _describe_parameter(parameter)
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if (example := BODIES.get(name, {}).get(media_type)) is not None:
                content.setdefault("example", example)
    for name, schema in result["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            _describe_field(described, *_find(name, field))
            if (other := _snake_case(field)) != field:  # the same field, as Node.js spells it
                _describe_field(described, *_find(name, other))
    return result


def _snake_case(field: str) -> str:
    return re.sub(r"(?<=[a-z])[A-Z]", r"_\g<0>", field).lower()


def _operations(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in result["paths"].values():
        yield from methods.values()


def _describe_parameter(parameter: dict[str, Any]) -> None:
    description, example = PARAMETERS.get(parameter.get("name", ""), ("", None))
    if description:
        parameter.setdefault("description", description)
    if example is not None:
        parameter.setdefault("example", example)


def _describe_field(field: Schema, description: str, example: Any) -> None:
    if description:
        field.setdefault("description", description)
    if example is not None and "example" not in field:
        field.setdefault("examples", [example])


def _find(schema: str, field: str) -> tuple[str, Any]:
    """By the first pattern of schema names that fits and knows the field."""
    name = schema.removeprefix("Patched").removesuffix("Request")
    for pattern, fields in FIELDS:
        if field in fields and fnmatchcase(name, pattern):
            return fields[field]
    return "", None
