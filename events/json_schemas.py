"""JSON Schema (2020-12) of event bodies.

The published schema allows additional fields, because we add fields over time. The closed schema
forbids them, so that tests find undocumented fields.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


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
