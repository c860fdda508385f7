"""Limits event bodies to 256 KiB: larger ones are truncated and marked as such."""

from collections.abc import Callable
from typing import Any

import orjson

LIMIT = 256 * 1024
_STEPS = (16_384, 4_096, 1_024, 256, 64)


def within_limit(data: dict[str, Any], wrap: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """The payload in its envelope as JSON.

    If it exceeds the limit, strings and lists are truncated, then nested values are emptied if
    necessary. The payload then has `truncated: true`.
    """
    body = orjson.dumps(wrap(data))
    for length in _STEPS:
        if len(body) <= LIMIT:
            break
        body = orjson.dumps(wrap(_truncated(data, length) | {"truncated": True}))
    if len(body) > LIMIT:  # the size is not in strings: keep only flat fields, such as ids
        flat = {name: _emptied(value) for name, value in _truncated(data, _STEPS[-1]).items()}
        body = orjson.dumps(wrap(flat | {"truncated": True}))
    return body.decode()


def _truncated(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return value[:length]
    if isinstance(value, list):
        return [_truncated(item, length) for item in value[:length]]
    if isinstance(value, dict):
        return {key: _truncated(item, length) for key, item in value.items()}
    return value


def _emptied(value: Any) -> Any:
    return type(value)() if isinstance(value, list | dict) else value
