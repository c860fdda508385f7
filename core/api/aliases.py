"""Request fields with two names: the one that responses use, and an alias."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import AliasChoices, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from core.api.bodies import RequestBody, invalid_fields
from core.errors import ValidationFailed


class AliasedBody(RequestBody):
    """A field with AliasChoices takes either of its two names, but not both."""

    @classmethod
    @contextmanager
    def with_given_names(cls, data: Any) -> Iterator[None]:
        """Errors raised inside name the fields as this request named them."""
        used = {first: second for first, second in cls._names() if second in data}
        try:
            yield
        except ValidationFailed as error:
            fields = (error.details or {})["fields"]
            renamed = {_renamed(path, used): problem for path, problem in fields.items()}
            raise ValidationFailed(renamed, name=error.name) from None

    @classmethod
    def _names(cls) -> Iterator[tuple[str, str]]:
        for field in cls.model_fields.values():
            if isinstance(field.validation_alias, AliasChoices):
                first, second = field.validation_alias.choices
                yield str(first), str(second)

    @model_validator(mode="before")
    @classmethod
    def _one_name_each(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        doubled = [names for names in cls._names() if data.keys() >= set(names)]
        if doubled:
            raise invalid_fields(
                {(two,): f"give `{one}` or `{two}`, not both" for one, two in doubled}
            )
        return data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        for first, second in cls._names():
            _add_name(schema, first, second)
        return schema


def _renamed(path: str, used: dict[str, str]) -> str:
    name, dot, rest = path.partition(".")
    return used.get(name, name) + dot + rest


def _add_name(schema: JsonSchemaValue, first: str, second: str) -> None:
    field = schema["properties"][first]
    same = {key: value for key, value in field.items() if key not in ("title", "default")}
    schema["properties"][second] = same | {"description": f"Another name for `{first}`."}
    required = schema.pop("required", [])
    others = [name for name in required if name != first]
    if others:
        schema["required"] = others
    rule: JsonSchemaValue
    if first in required:
        rule = {"oneOf": [{"required": [first]}, {"required": [second]}]}
    else:
        rule = {"not": {"required": [first, second]}}
    schema.setdefault("allOf", []).append(rule)
