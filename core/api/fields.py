"""Fields that the bodies of several resources have."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field

from core.times import from_iso

# Not strict: JSON has no UUIDs, only text that spells them.
Id = Annotated[UUID, Field(strict=False)]
# Each id once, in the order given.
Ids = Annotated[
    list[Id], Field(max_length=100), AfterValidator(lambda given: list(dict.fromkeys(given)))
]


def _time(given: Any) -> datetime:
    if not isinstance(given, str):
        raise ValueError("must be text: a time in ISO 8601, like 2026-05-10T00:00:00Z")
    return from_iso(given)


Time = Annotated[datetime, BeforeValidator(_time)]
