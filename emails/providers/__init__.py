"""The interface to email providers: what they get, answer and raise."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """A message as the provider gets it. `to`, `cc` and `bcc` are the envelope (RFC 5321)."""

    email_id: str
    sender: str
    to: list[str]
    cc: list[str]
    bcc: list[str]
    mime: bytes
    message_id: str  # of the header
    region: str
    configuration_set: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The provider accepted the message. `message_id` is the header that recipients see.

    `refused` maps each recipient that it refused to its reason.
    """

    provider_message_id: str
    message_id: str
    provider_response: dict[str, Any]
    refused: dict[str, str] = field(default_factory=dict)


MAX_CALL_SECONDS = 45.0  # together with the preparation less than SEND_LEASE


class ProviderError(Exception):
    """The provider did not accept the message, or it is unknown whether it did."""


class Refused(ProviderError):
    """Permanent: the provider rejects the message or its sender."""


class NotTaken(ProviderError):
    """Temporary: throttled, unreachable or broken. Not sent for certain, so safe to retry."""


class Throttled(NotTaken):
    """The rate limit is exceeded; nothing is wrong with the message."""


class QuotaExceeded(NotTaken):
    """The daily quota is used up; nothing is wrong with the message."""


class OutcomeUnknown(ProviderError):
    """The request was sent but not answered: the message may have been accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Recipients per second and per 24 hours (None: unlimited); recipients of the last 24 hours."""

    rate: float
    daily_quota: float | None = None
    sent_24h: float = 0


class Provider(Protocol):
    name: str

    def bucket(self, region: str) -> str:
        """The name of the token bucket for mail of the region; "" for no limit."""
        ...

    def prepare(self, region: str) -> None:
        """Set up what the first messages would otherwise wait for while holding their tokens."""
        ...

    def limits(self, region: str) -> Limits:
        """The current limits in the region; raises any exception if they can't be fetched."""
        ...

    def send(self, message: Outbound) -> Accepted:
        """Send one message within MAX_CALL_SECONDS; raises a ProviderError.

        Called from many threads concurrently.
        """
        ...


_PATHS = {
    "ses": "emails.providers.ses.SesProvider",
    "smtp": "emails.providers.smtp.SmtpProvider",
}
PROVIDERS = tuple(_PATHS)


@cache
def get_provider(name: str = "") -> Provider:
    """The provider with this name; the installation's default for "" and for an unknown name.

    EMAIL_PROVIDER may be the dotted path of a class, which then replaces all of them.
    """
    if "." in name:
        provider: Provider = import_string(name)()
        return provider
    installed = settings.EMAIL_PROVIDER
    return get_provider(
        installed if "." in installed else _PATHS.get(name) or _PATHS[installed_provider()]
    )


def installed_provider() -> str:
    """The provider of new mail, unless its domain has another one."""
    installed: str = settings.EMAIL_PROVIDER
    return "ses" if "." in installed else installed
