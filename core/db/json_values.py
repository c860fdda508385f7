"""JSON from outside, in the form that PostgreSQL can store and that orjson can write.

What breaks one of them: U+0000 and lone surrogates (PostgreSQL's text and UTF-8 have neither),
numbers beyond 64 bits (orjson writes none, though jsonb holds them), deep nesting.
"""

import json
import re
from typing import Any

import orjson

MAX_DEPTH = 100  # orjson writes 254 levels; an API response adds a few around a stored value
MAX_NUMBER = 2**63 - 1
MIN_NUMBER = -(2**63)
TOO_DEEP = "[nested too deeply]"

_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
_LARGE = 2**53  # no float beyond this has a fraction
_LONGEST_INTEGER = 20  # characters of MIN_NUMBER


def loads(text: str) -> Any:
    """Parse JSON; tolerates lone surrogates, control characters, NaN and numbers of any size.

    The result may contain all of these: pass what is stored through `storable`. ValueError if it
    is not JSON at all, or nested some thousand levels deep.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(text, strict=False, parse_int=_integer)
        except (ValueError, RecursionError):
            raise error from None  # orjson names the position


def storable(value: Any, *, depth: int = MAX_DEPTH) -> Any:
    """The JSON value with U+FFFD for what is not text, and numbers clamped to signed 64 bits.

    NaN becomes null, and what is nested more than `depth` levels deep becomes TOO_DEEP. Values
    that are not JSON, such as dates, are returned unchanged.
    """
    if isinstance(value, str):
        return _NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _bounded(value)
    if isinstance(value, list | dict) and not depth:
        return TOO_DEEP
    if isinstance(value, list):
        return [storable(item, depth=depth - 1) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable(item, depth=depth - 1) for key, item in value.items()}
    return value


def dumps(value: Any, option: int = 0) -> bytes:
    """orjson.dumps, which never fails because of a value that PostgreSQL can store."""
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError:
        return orjson.dumps(storable(value), option=option)


def as_text(value: Any) -> str:
    """A JSON value as text: "" for null, compact JSON for anything that is not a string."""
    if isinstance(value, str):
        return value
    return "" if value is None else dumps(value).decode()


def _integer(digits: str) -> int | float:
    # Python refuses to parse an integer of more than 4,300 digits.
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _bounded(number: float) -> float | None:
    if -_LARGE < number < _LARGE:
        return number
    if number != number:  # NaN
        return None
    # As an integer: jsonb rounds the text of a float, possibly to more than 64 bits.
    return int(min(max(number, MIN_NUMBER), MAX_NUMBER))
