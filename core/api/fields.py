"""Fields that the bodies of several resources have."""

import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.json_schema import WithJsonSchema

from core.times import from_iso

# Not strict: JSON has no UUIDs, only text that spells them.
Id = Annotated[UUID, Field(strict=False)]
# Each id once, in the order given.
Ids = Annotated[
    list[Id], Field(max_length=100), AfterValidator(lambda given: list(dict.fromkeys(given)))
]


def _time(given: Any) -> datetime:
    if not isinstance(given, str):
        raise ValueError("must be text: a time in ISO 8601, like 2026-05-10T00:00:00Z")
    return from_iso(given)


Time = Annotated[datetime, BeforeValidator(_time)]


def _empty_list_as_map(given: Any) -> Any:
    return {} if isinstance(given, list) and not given else given


# PHP has one type for lists and maps, and writes an empty one as `[]` (json_encode). Every field
# that is a map, or a model of which nothing is required, takes that.
PHP_MAP = BeforeValidator(_empty_list_as_map)

_MAX_EXACT = 2**53  # larger numbers with a fraction or an exponent have lost digits already


def _scalar_text(given: Any) -> Any:
    if isinstance(given, float) and abs(given) >= _MAX_EXACT:
        raise ValueError("must be a string: a number of this size is not exact")
    return json.dumps(given) if isinstance(given, bool | int | float) else given


def _header_map(given: Any) -> Any:
    given = _empty_list_as_map(given)
    if isinstance(given, dict):
        return {name: value for name, value in given.items() if value is not None}
    return given


def _scalar(*types: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "number", "boolean", *types]})


# Clients of dynamic languages pass numbers and booleans on where text is meant.
ScalarText = Annotated[str, BeforeValidator(_scalar_text), _scalar()]
HeaderValue = Annotated[ScalarText, _scalar("null")]
# For maps of header fields: one that is null is absent.
HEADER_MAP = BeforeValidator(_header_map)
