"""The providers that a domain can choose on this installation."""

from django.conf import settings

from domains.models import Domain


def require_available(name: str) -> str:
    """The provider's name; ValueError when this installation has not configured it."""
    if name == Domain.Provider.SMTP and not settings.SMTP_URL:
        raise ValueError("needs an SMTP relay, but SMTP_URL is not set on this installation")
    return name


def ses_regions() -> set[str]:
    """The AWS regions in which domains send through SES, and the installation's own."""
    sends_by_default = settings.EMAIL_PROVIDER == Domain.Provider.SES
    names = [Domain.Provider.SES, *([""] if sends_by_default else [])]
    rows = Domain.objects.live().filter(provider__in=names).order_by()
    regions = set(rows.values_list("region", flat=True).distinct())
    return regions | {settings.AWS_REGION} if sends_by_default else regions


def label(name: str) -> str:
    """The display name of a domain's provider; an empty name is the installation's default."""
    return str(Domain.Provider(name).label) if name else "installation default"
