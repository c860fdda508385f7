"""Bodies of at most 256 KiB: the longest texts of a larger one are cut, and it says so."""

from collections.abc import Callable
from typing import Any

import orjson

LIMIT = 256 * 1024
_STEPS = (16_384, 4_096, 1_024, 256, 64)


def within_limit(data: dict[str, Any], wrap: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """The payload in its envelope as JSON.

    Over the limit its texts and lists are shortened, and if need be all that is nested emptied;
    `truncated` in the payload tells.
    """
    body = orjson.dumps(wrap(data))
    for length in _STEPS:
        if len(body) <= LIMIT:
            break
        body = orjson.dumps(wrap(_shortened(data, length) | {"truncated": True}))
    if len(body) > LIMIT:  # its size is in no text: what identifies it is left
        flat = {name: _emptied(value) for name, value in _shortened(data, _STEPS[-1]).items()}
        body = orjson.dumps(wrap(flat | {"truncated": True}))
    return body.decode()


def _shortened(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return value[:length]
    if isinstance(value, list):
        return [_shortened(item, length) for item in value[:length]]
    if isinstance(value, dict):
        return {key: _shortened(item, length) for key, item in value.items()}
    return value


def _emptied(value: Any) -> Any:
    return type(value)() if isinstance(value, list | dict) else value
