"""Bodies of at most 256 KiB: the longest texts of a larger one are cut, and it says so."""

from typing import Any

import orjson

LIMIT = 256 * 1024
_STEPS = (16_384, 4_096, 1_024, 256, 64)


def within_limit(envelope: dict[str, Any]) -> str:
    """The envelope as JSON.

    Over the limit its texts and lists are shortened, and if need be all that is nested left
    out; `data.truncated` tells.
    """
    body = orjson.dumps(envelope)
    for length in _STEPS:
        if len(body) <= LIMIT:
            break
        data = _shortened(envelope["data"], length) | {"truncated": True}
        body = orjson.dumps(envelope | {"data": data})
    if len(body) > LIMIT:  # its size is in no text: what identifies it is left
        flat = {key: value for key, value in data.items() if not isinstance(value, list | dict)}
        body = orjson.dumps(envelope | {"data": flat})
    return body.decode()


def _shortened(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return value[:length]
    if isinstance(value, list):
        return [_shortened(item, length) for item in value[:length]]
    if isinstance(value, dict):
        return {key: _shortened(item, length) for key, item in value.items()}
    return value
