"""Validates the addresses of contacts and suppressions in requests and files."""

from typing import Annotated

from pydantic import AfterValidator

from core.addresses import identity, is_simulated, normalise
from core.api.bodies import Text


def parse_contact_address(value: str) -> str:
    """The address with its domain in A-labels; ValueError says why it is invalid."""
    return normalise(value.strip())


def parse_suppressible_address(value: str) -> str:
    """The contact address in lower case; ValueError also for test and simulator addresses."""
    address = identity(parse_contact_address(value))
    if is_simulated(address):
        raise ValueError(
            f"`{address}` is answered by the SES mailbox simulator, which cannot be suppressed"
        )
    return address


ContactAddress = Annotated[Text, AfterValidator(parse_contact_address)]
SuppressibleAddress = Annotated[Text, AfterValidator(parse_suppressible_address)]
