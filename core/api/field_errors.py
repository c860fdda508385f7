"""What pydantic finds wrong with a request, as the API tells it: field paths and plain words."""

import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.errors import ValidationFailed

# When all that is wrong with a request is of one of these types, its error bears the name.
_NAMES = {"missing": "missing_required_field", "unsupported_field": "unsupported_field"}

# A request can have any number of mistakes, each as long as itself; the answer stays short.
_MOST_TOLD = 100
_LONGEST_NAME = 100
_LONGEST_TEXT = 300
_QUOTED = re.compile(r"`([^`]{100})[^`]+`")

INSIDE = "wrong_inside"  # core.api.bodies.wrong
# Of these the last part of the path names what isn't there.
_OF_THE_ABSENT = {"missing", INSIDE}

_NO_OBJECT = "must be an object"
_NO_UUID = "must be a UUID such as `0199aa5e-63f2-7c1b-b4a5-3a1f0c9d2e11`"
_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "string_type": "must be a string",
    "string_pattern_mismatch": "must match the pattern `{pattern}`",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "dict_type": _NO_OBJECT,
    "model_type": _NO_OBJECT,
    "uuid_type": _NO_UUID,
    "uuid_parsing": _NO_UUID,
}
_UNITS: dict[type, tuple[str, str]] = {str: ("character", "characters"), dict: ("entry", "entries")}


def validation_failed(error: ValidationError, data: Any, prefix: str) -> ValidationFailed:
    """Every field at fault by its path, up to a hundred of them; the rest is counted."""
    problems = error.errors(include_url=False)
    whole = prefix.removesuffix(".") or "body"
    fields: dict[str, str] = {}
    for problem in problems[:_MOST_TOLD]:
        parts = _path(problem, data)
        fields.setdefault(prefix + ".".join(parts) if parts else whole, _words(problem))
    if len(problems) > _MOST_TOLD:
        fields[whole] = f"has {len(problems) - _MOST_TOLD:,} more problems"
    first, *others = {problem["type"] for problem in problems}
    name = "validation_error" if others else _NAMES.get(first, "validation_error")
    return ValidationFailed(fields, name=name)


def _path(problem: ErrorDetails, data: Any) -> list[str]:
    """The names by which `data` is entered. Pydantic has names of its own among them, for the
    members of unions and for keys: those lead nowhere."""
    found: list[str] = []
    here = data
    for depth, part in enumerate(problem["loc"], start=1):
        if isinstance(part, int):
            here = here[part] if isinstance(here, list) and part < len(here) else None
        elif isinstance(here, dict) and part in here:
            here = here[part]
        elif depth < len(problem["loc"]) or problem["type"] not in _OF_THE_ABSENT:
            continue
        found.append(_shown(part))
    return found


def _shown(part: str | int) -> str:
    name = str(part)
    return (name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}...") or '""'


def _words(problem: ErrorDetails) -> str:
    kind, given, context = problem["type"], problem["input"], problem.get("ctx", {})
    match kind:
        case "too_short" | "string_too_short":
            least = context["min_length"]
            return "must not be empty" if least == 1 else f"must have at least {_of(least, given)}"
        case "too_long" | "string_too_long":
            return f"must have at most {_of(context['max_length'], given)}"
        case "literal_error":
            return f"must be {context['expected']}".replace("'", "`")
    words = _WORDS.get(kind)
    if words is not None:
        return words.format(**context)
    return short(problem["msg"].removeprefix("Value error, "))


def _of(count: int, given: Any) -> str:
    one, many = _UNITS.get(type(given), ("item", "items"))
    return f"{count:,} {one if count == 1 else many}"


def short(text: str) -> str:
    """Values that a message quotes are cut, so that what is wrong with them can still be read."""
    if len(text) > _LONGEST_TEXT:
        text = _QUOTED.sub(r"`\1...`", text)
    return text[:_LONGEST_TEXT]
