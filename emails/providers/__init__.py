"""The one door through which mail leaves: small classes with one method."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """A message as the provider gets it. `recipients` is the envelope (RFC 5321 RCPT TO)."""

    email_id: str
    sender: str
    to: list[str]
    cc: list[str]
    bcc: list[str]
    mime: bytes
    region: str
    configuration_set: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The provider took the message. `message_id` is the header's, as recipients see it."""

    provider_message_id: str
    message_id: str
    provider_response: dict[str, Any]


class ProviderError(Exception):
    """The provider did not take the message, or nobody knows."""


class Refused(ProviderError):
    """It never will: the message or its sender is at fault."""


class NotTaken(ProviderError):
    """It surely didn't, for now: throttled, unreachable or broken. Worth another try."""


class OutcomeUnknown(ProviderError):
    """It may have: the request was handed over and no answer came."""


class Provider(Protocol):
    name: str

    def send(self, message: Outbound) -> Accepted:
        """Hand one message over; raises a ProviderError. Called from many threads at once."""
        ...


@cache
def get_provider() -> Provider:
    provider: Provider = import_string(settings.EMAIL_PROVIDER)()
    return provider
