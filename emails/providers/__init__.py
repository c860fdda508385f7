"""The one door through which mail leaves: small classes with one method."""

from dataclasses import dataclass, field
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
    message_id: str  # the header's
    region: str
    configuration_set: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The provider took the message. `message_id` is the header's, as recipients see it.

    `refused` are recipients that it did not take it for, with its words.
    """

    provider_message_id: str
    message_id: str
    provider_response: dict[str, Any]
    refused: dict[str, str] = field(default_factory=dict)


LONGEST_CALL = 45.0  # seconds: with what goes before it, less than SEND_LEASE


class ProviderError(Exception):
    """The provider did not take the message, or nobody knows."""


class Refused(ProviderError):
    """It never will: the message or its sender is at fault."""


class NotTaken(ProviderError):
    """It surely didn't, for now: throttled, unreachable or broken. Worth another try."""


class Throttled(NotTaken):
    """We were too fast; the message is as good as any."""


class QuotaExceeded(NotTaken):
    """It takes no more today, whatever the message."""


class OutcomeUnknown(ProviderError):
    """It may have: the request was handed over and no answer came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Recipients a second and in 24 hours (None: any number), and those of the last 24 hours."""

    rate: float
    daily_quota: float | None = None
    sent_24h: float = 0


class Provider(Protocol):
    name: str

    def bucket(self, region: str) -> str:
        """The name of the rate that mail of the region is counted in, "" for no limit."""
        ...

    def prepare(self, region: str) -> None:
        """Make ready what the first messages would wait for, each with its place in the rate."""
        ...

    def limits(self, region: str) -> Limits:
        """What it takes in the region at present; any exception when it does not tell."""
        ...

    def send(self, message: Outbound) -> Accepted:
        """Hand one message over, within LONGEST_CALL; raises a ProviderError.

        Called from many threads at once.
        """
        ...


_PATHS = {
    "ses": "emails.providers.ses.SesProvider",
    "smtp": "emails.providers.smtp.SmtpProvider",
}


@cache
def get_provider(name: str = "") -> Provider:
    """The provider with this name; the installation's own for "" and for one that is gone.

    EMAIL_PROVIDER may be the dotted path of a class, which then stands for all of them.
    """
    if "." in name:
        provider: Provider = import_string(name)()
        return provider
    installed = settings.EMAIL_PROVIDER
    return get_provider(
        installed if "." in installed else _PATHS.get(name) or _PATHS[installed_provider()]
    )


def installed_provider() -> str:
    """The name that new mail bears unless its domain says another."""
    installed: str = settings.EMAIL_PROVIDER
    return "ses" if "." in installed else installed
