"""Request bodies: pydantic models, and their errors as the API's envelope with field paths."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from core.api.field_errors import INSIDE, validation_failed

FieldPath = tuple[str | int, ...]

MAX_ENTRIES = 100  # of an object: more than any of ours may have by its own limit
_TOO_MANY = f"has more than {MAX_ENTRIES} entries"


def _no_nul(value: str) -> str:
    # PostgreSQL's text holds every character but this one.
    if "\x00" in value:
        raise ValueError("must not contain the character U+0000")
    return value


Text = Annotated[str, AfterValidator(_no_nul)]


class RequestBody(BaseModel):
    """Strict about names and types: an unknown field is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_list_as_map(cls, data: Any) -> Any:
        return {} if data == [] else data  # as PHP writes an empty map

    @model_validator(mode="before")
    @classmethod
    def _is_no_flood(cls, data: Any) -> Any:
        # Pydantic would look at every entry, and note what is wrong with each.
        if isinstance(data, dict):
            if len(data) > MAX_ENTRIES:
                raise ValueError(_TOO_MANY)
            for name, value in data.items():
                if isinstance(value, dict) and len(value) > MAX_ENTRIES:
                    raise invalid_fields({(name,): _TOO_MANY})
        return data

    @classmethod
    def parse(cls, data: Any, *, prefix: str = "") -> Self:
        """The body, validated; ValidationFailed (422) names every wrong field.

        When all that is wrong is missing fields, the error's name is `missing_required_field`; when
        it is what this version doesn't support, `unsupported_field`.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise validation_failed(error, data, prefix) from None


class CamelCaseBody(RequestBody):
    """For the mailbox dialect: `client_id` is `clientId` in requests."""

    model_config = ConfigDict(alias_generator=to_camel)


class CamelCaseModel(BaseModel):
    """For the mailbox dialect: `client_id` is `clientId` in answers."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def unsupported_field(why: str) -> PydanticCustomError:
    """For validators to raise: the request is understood, and this version can't do it."""
    return PydanticCustomError("unsupported_field", "is not supported: {why}", {"why": why})


def invalid_fields(problems: Mapping[FieldPath, str]) -> ValidationError:
    """For validators to raise: what is wrong, each by its path from what is being validated."""
    errors = [
        InitErrorDetails(
            type=PydanticCustomError(INSIDE, "{why}", {"why": why}), loc=path, input=None
        )
        for path, why in problems.items()
    ]
    return ValidationError.from_exception_data("request", errors)
