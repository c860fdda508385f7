"""The JSON of received emails."""

from typing import Any, Literal

from pydantic import BaseModel, Field


class ReceivedEmailList(BaseModel):
    """No mail has been received."""

    object: Literal["list"] = "list"
    data: list[Any] = Field(default=[], max_length=0)
    has_more: Literal[False] = False
