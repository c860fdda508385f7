"""Building blocks of the payload models, and their JSON Schema (2020-12).

The models document payloads; publishing does not validate against them. A model with
`extra="allow"` is an object of the provider: the named fields are guaranteed, others pass through.

The published schema allows additional fields, because we add fields over time. The closed schema
forbids them, so that tests find undocumented fields.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, SkipJsonSchema
from pydantic_core import core_schema

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
