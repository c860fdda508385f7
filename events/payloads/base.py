"""What the models of payloads are made of.

They describe what is published and aren't run when it is. A model with `extra="allow"` is
somebody else's object, of which we promise the named fields and pass the rest on.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

_HEX = "[0-9a-f]"
UUID_PATTERN = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"

Id = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
# As core.times.iso writes them.
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
# `str | Absent = None`: the field may be left out, and is never null.
Absent = SkipJsonSchema[None]


class Payload(BaseModel):
    """The data of one type of event."""

    truncated: Literal[True] | Absent = Field(
        default=None,
        description="Only there when the body would have been over 256 KiB: texts and lists of it"
        " were cut.",
    )


class Provider(BaseModel):
    """A sub-object in the provider's own words: it may hold more than is listed."""

    model_config = ConfigDict(extra="allow")
