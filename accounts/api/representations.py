"""The JSON of API keys."""

from typing import Literal

from pydantic import BaseModel

from accounts.models import ApiKey
from core.api.representations import Deleted
from core.times import iso


class ApiKeyCreated(BaseModel):
    object: Literal["api_key"] = "api_key"
    id: str
    token: str


class ApiKeyOut(BaseModel):
    object: Literal["api_key"] = "api_key"
    id: str
    name: str
    prefix: str
    permission: str
    domain_id: str | None
    created_at: str
    last_used_at: str | None


class ApiKeyDeleted(Deleted):
    object: Literal["api_key"] = "api_key"


def represent(key: ApiKey) -> ApiKeyOut:
    return ApiKeyOut(
        id=str(key.pk),
        name=key.name,
        prefix=key.prefix,
        permission=key.permission,
        domain_id=str(key.domain_id) if key.domain_id else None,
        created_at=iso(key.created_at),
        last_used_at=iso(key.last_used_at),
    )
