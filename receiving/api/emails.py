"""`/emails/receiving`: received emails. Receiving is not supported yet, so there are none."""

from typing import Any, Literal

from pydantic import BaseModel, Field
from rest_framework.response import Response

from accounts.authentication import ApiRequest
from accounts.views import ApiView
from core.api.openapi import PAGE, describe
from core.api.pagination import asked_for


class ReceivedEmailList(BaseModel):
    """Received emails. Always empty, because receiving is not supported yet."""

    object: Literal["list"] = "list"
    data: list[Any] = Field(default=[], max_length=0)
    has_more: Literal[False] = False


class ReceivedEmailsView(ApiView):
    @describe("List received emails", response=ReceivedEmailList, parameters=PAGE, tag="Emails")
    def get(self, request: ApiRequest) -> Response:
        asked_for(request)
        return Response(ReceivedEmailList().model_dump())
