"""The providers that a domain can choose on this installation."""

from django.conf import settings

from domains.models import Domain


def require_available(name: str) -> str:
    """The provider's name; ValueError when this installation has not configured it."""
    if name == Domain.Provider.SMTP and not settings.SMTP_URL:
        raise ValueError("needs an SMTP relay, but SMTP_URL is not set on this installation")
    return name


def label(name: str) -> str:
    """The display name of a domain's provider; an empty name is the installation's default."""
    return str(Domain.Provider(name).label) if name else "installation default"
