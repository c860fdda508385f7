"""Which of the providers a domain may choose on this installation."""

from django.conf import settings

from domains.models import Domain


def available(name: str) -> str:
    """The provider's name; ValueError when mail couldn't leave by it."""
    if name == Domain.Provider.SMTP and not settings.SMTP_URL:
        raise ValueError("needs a relay, and SMTP_URL is not set on this installation")
    return name


def in_words(name: str) -> str:
    """Who takes the mail of a domain that has chosen this, or nothing."""
    return str(Domain.Provider(name).label) if name else "as the installation says"
