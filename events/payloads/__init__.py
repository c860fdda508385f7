"""Building blocks of the payload models.

The models document payloads; publishing does not validate against them. A model with
`extra="allow"` is an object of the provider: the named fields are guaranteed, others pass through.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

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
