"""The two envelopes of events, and their serialization as JSON."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, Field, WithJsonSchema, create_model

from core.times import iso
from events.payloads import UUID_PATTERN, Payload, Time
from events.truncation import within_limit


class Envelope(StrEnum):
    """`standard` nests the payload under `data`; `mailbox` puts it beside the envelope's fields."""

    STANDARD = "standard"
    MAILBOX = "mailbox"


def serialize(
    envelope: Envelope, type_name: str, *, event_id: str, at: datetime, data: dict[str, Any]
) -> str:
    """Serialize an event as JSON, truncated to the size limit."""
    if envelope is Envelope.MAILBOX:
        head = {"event": type_name, "event_id": event_id, "occurred_at": iso(at)}
        return within_limit(data, lambda payload: head | payload)
    head = {"id": event_id, "type": type_name, "created_at": iso(at)}
    return within_limit(data, lambda payload: {**head, "data": payload})


def data_of(body: str) -> dict[str, Any]:
    """Parse the payload out of a body in either envelope."""
    fields: dict[str, Any] = orjson.loads(body)
    if "event_id" in fields:
        return {name: value for name, value in fields.items() if name not in _Mailbox.model_fields}
    data: dict[str, Any] = fields["data"]
    return data


def model_of(envelope: Envelope, type_name: str, payload: type[Payload]) -> type[BaseModel]:
    """The model of the whole body of this event type."""
    const = Field(description="The event type.", json_schema_extra={"const": type_name})
    if envelope is Envelope.MAILBOX:
        return create_model(type_name, __base__=(payload, _Mailbox), event=(str, const))
    data = (payload, Field(description="The payload of the event."))
    return create_model(type_name, __base__=_Standard, type=(str, const), data=data)


_EventId = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^whd_{UUID_PATTERN}$"})]


class _Standard(BaseModel):
    id: _EventId = Field(description="The event id, the same in every attempt and replay.")
    type: str
    created_at: Time = Field(description="When the event happened.")


class _Mailbox(BaseModel):
    event: str
    event_id: _EventId = Field(description="The event id, the same in every attempt and replay.")
    occurred_at: Time = Field(description="When the event happened.")
