"""Building blocks of the payload models, and their JSON Schema (2020-12).

The models document payloads; publishing does not validate against them. A model with
`extra="allow"` is an object of the provider: the named fields are guaranteed, others pass through.

The published schema allows additional fields, because we add fields over time. The closed schema
forbids them, so that tests find undocumented fields.
"""

from collections.abc import Mapping
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, cast, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, SkipJsonSchema
from pydantic_core import core_schema

from core.db.json_values import as_text

_HEX = "[0-9a-f]"
UUID_PATTERN = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"

Id = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
# The format of core.times.iso.
Time = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
        }
    ),
]
# `str | Absent = None`: the field may be absent, but is never null.
Absent = SkipJsonSchema[None]


class Payload(BaseModel):
    """The payload of one event type."""

    truncated: Literal[True] | Absent = Field(
        default=None,
        description="Only present if the body exceeded 256 KiB and its strings and lists were"
        " truncated.",
    )


class ProviderObject(BaseModel):
    """An object from the provider, passed through: it may have more fields than listed."""

    model_config = ConfigDict(extra="allow")

    @classmethod
    def conform(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The provider's object, with the listed fields as documented even if the provider errs.

        Instead of a text, another value becomes its JSON. Otherwise a field of the wrong type, or
        an undocumented null, is null if that is documented, else absent.
        """
        conformed = dict(given)
        for name, field in _fields(cls).items():
            if name in given:
                value = field.conform(given[name])
                if value is None and not field.is_nullable:
                    del conformed[name]
                else:
                    conformed[name] = value
        return conformed


class _Field(NamedTuple):
    is_text: bool
    is_nullable: bool
    adapter: TypeAdapter[Any]

    def conform(self, value: Any) -> Any:
        if self.is_text:
            return None if value is None else as_text(value)
        try:
            return self.adapter.validate_python(value)
        except ValidationError:
            return None


@cache
def _fields(model: type[BaseModel]) -> dict[str, _Field]:
    """The listed fields by name."""
    fields = {}
    for name, info in model.model_fields.items():
        options = get_args(info.annotation) or (info.annotation,)
        adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", info.annotation))
        fields[name] = _Field(str in options, NoneType in options, adapter)
    return fields


def schema_of(model: type[BaseModel], *, description: str, closed: bool = False) -> dict[str, Any]:
    schema = model.model_json_schema(schema_generator=_Closed if closed else _Published)
    head = {"$schema": GenerateJsonSchema.schema_dialect, "description": description}
    return head | schema


class _Published(GenerateJsonSchema):
    # Titles only repeat the names, and defaults describe parsing, not what we send.
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class _Closed(_Published):
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return {"additionalProperties": False, **super().model_schema(schema)}
