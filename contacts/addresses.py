"""Addresses in requests and files, as contacts and suppressions keep them."""

from typing import Annotated

from pydantic import AfterValidator

from contacts.suppressions import SIMULATOR
from core.addresses import identity, normalise
from core.api.bodies import Text


def contactable(given: str) -> str:
    """With the domain in A-labels; ValueError says what is wrong with the address."""
    return normalise(given.strip())


def suppressible(given: str) -> str:
    """In lower case, too; ValueError for addresses that are never suppressed."""
    address = identity(contactable(given))
    if address.endswith(SIMULATOR):
        raise ValueError(f"`{address}` is of SES's simulator, which is never suppressed")
    return address


ContactAddress = Annotated[Text, AfterValidator(contactable)]
SuppressibleAddress = Annotated[Text, AfterValidator(suppressible)]
