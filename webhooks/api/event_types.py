"""`/webhooks/event-types`: the event types that endpoints can subscribe to."""

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, Field
from rest_framework.response import Response

from accounts.authentication import ApiRequest
from accounts.views import ApiView
from core.api.openapi import describe, list_of
from core.api.pagination import refuse_pages
from events.catalogue import CATALOGUE


class EventTypeOut(BaseModel):
    object: Literal["event_type"] = "event_type"
    type: str
    group: str = Field(description="The pattern that subscribes to all types of this group.")
    description: str
    emitted_by: str
    schema_: dict[str, Any] = Field(
        alias="schema",
        description="JSON Schema (2020-12) of the complete body; fields may be added later.",
    )
    example: dict[str, Any] = Field(description="A complete body.")


class EventTypesView(ApiView):
    """All event types in one response: `limit`, `after` and `before` are refused."""

    @describe("List event types", response=list_of(EventTypeOut), tag="Webhooks")
    def get(self, request: ApiRequest) -> Response:
        refuse_pages(request)
        return Response({"object": "list", "data": _event_types(), "has_more": False})


@cache
def _event_types() -> list[dict[str, Any]]:
    return [
        EventTypeOut(
            type=kind.name,
            group=kind.group,
            description=kind.meaning,
            emitted_by=kind.emitted_by,
            schema=kind.schema,
            example=kind.example,
        ).model_dump(by_alias=True)
        for kind in CATALOGUE.values()
    ]
