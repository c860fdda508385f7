"""Request bodies of `/api-keys`."""

from typing import Annotated, Literal

from pydantic import Field

from core.api.bodies import RequestBody, Text
from core.api.fields import Id

Name = Annotated[Text, Field(min_length=1, max_length=200)]
Permission = Literal["full_access", "sending_access"]


class CreateApiKey(RequestBody):
    """`domain_id` lets a key with `sending_access` send from this domain only."""

    name: Name
    permission: Permission = "full_access"
    domain_id: Id | None = None


class UpdateApiKey(RequestBody):
    """Fields that are left out stay as they are. Keys with `full_access` have no `domain_id`."""

    name: Name = ""
    permission: Permission = "full_access"
    domain_id: Id | None = None
