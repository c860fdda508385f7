"""What the JSON of several resources has in common."""

from typing import Literal

from pydantic import BaseModel


class Deleted(BaseModel):
    """The answer to a DELETE; subclasses name the kind of `object`."""

    object: str
    id: str
    deleted: Literal[True] = True
