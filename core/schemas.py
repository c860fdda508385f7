"""Request bodies: pydantic models, and their errors as the API's envelope with field paths."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from core.errors import ValidationFailed

M = TypeVar("M", bound=BaseModel)

# When all that is wrong with a request is of one of these types, its error bears the name.
_NAMES = {"missing": "missing_required_field", "unsupported_field": "unsupported_field"}


def _no_nul(value: str) -> str:
    # PostgreSQL's text holds every character but this one.
    if "\x00" in value:
        raise ValueError("must not contain the character U+0000")
    return value


Text = Annotated[str, AfterValidator(_no_nul)]


class RequestBody(BaseModel):
    """Strict about names and types: an unknown field is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)


def unsupported(why: str) -> PydanticCustomError:
    """For validators to raise: the request is understood, and this version can't do it."""
    return PydanticCustomError("unsupported_field", "is not supported: {why}", {"why": why})


def parse(model: type[M], data: Any, *, prefix: str = "") -> M:
    """Validate a request body; raises ValidationFailed (422) naming every wrong field.

    When all that is wrong is fields left out, the error's name is `missing_required_field`; when
    it is what this version can't do, `unsupported_field`.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _as_api_error(error, prefix) from None


def _as_api_error(error: ValidationError, prefix: str) -> ValidationFailed:
    problems = error.errors(include_url=False, include_input=False)
    fields: dict[str, str] = {}
    for problem in problems:
        path = prefix + ".".join(str(part) for part in problem["loc"] if _is_field(part))
        fields.setdefault(path.rstrip(".") or "body", _message(problem["type"], problem["msg"]))
    first, *others = {problem["type"] for problem in problems}
    name = "validation_error" if others else _NAMES.get(first, "validation_error")
    return ValidationFailed(fields, name=name)


def _is_field(part: str | int) -> bool:
    # pydantic names the members of a union and its validators among the path's parts.
    return isinstance(part, int) or not ("[" in part or part in {"str", "bool", "int", "list"})


def _message(kind: str, text: str) -> str:
    match kind:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a field of this request"
        case _:
            return text.removeprefix("Value error, ").removeprefix("Input ")
