"""`/webhooks/event-types`: the event types that endpoints can subscribe to."""

from functools import cache
from typing import Any

from rest_framework.response import Response

from accounts.access import Access, Scope
from accounts.operation import operation
from accounts.views import ApiView
from core.api.dialects import ROOT
from core.api.pagination import refuse_page_parameters
from events.catalogue import CATALOGUE
from webhooks.api.representations import EventTypeOut, represent_event_type


class EventTypesView(ApiView):
    """All event types in one response: `limit`, `after` and `before` are refused."""

    tag = "Webhooks"

    @operation("List event types", needs=Scope.WEBHOOKS_READ, answers=ROOT.page_model(EventTypeOut))
    def get(self, access: Access) -> Response:
        refuse_page_parameters(self.request)
        return Response(ROOT.page_body(_event_types(), {"has_more": False}))


@cache
def _event_types() -> list[dict[str, Any]]:
    return [represent_event_type(kind).model_dump(by_alias=True) for kind in CATALOGUE.values()]
