"""Bodies of at most 256 KiB: the longest texts of a larger one are cut, and it says so."""

from typing import Any

import orjson

LIMIT = 256 * 1024
_STEPS = (16_384, 4_096, 1_024, 256, 64)


def within_limit(envelope: dict[str, Any]) -> str:
    """The envelope as JSON; over the limit its texts are shortened and `data.truncated` is set."""
    body = orjson.dumps(envelope)
    for length in _STEPS:
        if len(body) <= LIMIT:
            break
        data = _shortened(envelope["data"], length) | {"truncated": True}
        body = orjson.dumps(envelope | {"data": data})
    return body.decode()


def _shortened(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return value[:length]
    if isinstance(value, list):
        return [_shortened(item, length) for item in value[:length]]
    if isinstance(value, dict):
        return {key: _shortened(item, length) for key, item in value.items()}
    return value
