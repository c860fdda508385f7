"""Validates the addresses of contacts and suppressions in requests and files."""

from typing import Annotated

from pydantic import AfterValidator

from contacts.suppressions import SIMULATOR
from core.addresses import identity, normalise
from core.api.bodies import Text


def parse_contact_address(value: str) -> str:
    """The address with its domain in A-labels; ValueError says why it is invalid."""
    return normalise(value.strip())


def parse_suppressible_address(value: str) -> str:
    """The contact address in lower case; ValueError also for the SES simulator."""
    address = identity(parse_contact_address(value))
    if address.endswith(SIMULATOR):
        raise ValueError(
            f"`{address}` belongs to the SES mailbox simulator, which cannot be suppressed"
        )
    return address


ContactAddress = Annotated[Text, AfterValidator(parse_contact_address)]
SuppressibleAddress = Annotated[Text, AfterValidator(parse_suppressible_address)]
