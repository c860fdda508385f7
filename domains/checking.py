"""The work behind `domains.tasks`: look after the domains that are due."""

from datetime import timedelta

from django.utils import timezone

from core.work import Settlement
from domains.models import Domain
from domains.services import establish, remove_identity

BATCH = 10
LEASE = timedelta(minutes=5)  # ten domains, up to three calls of at most 20 s each, and slack


def check_due() -> int:
    """Claim some due domains and ask SES about each; how many were claimed."""
    domains = Domain.objects.claim(limit=BATCH, lease=LEASE)
    for domain in domains:
        if domain.deleted_at is not None:
            if not remove_identity(domain):
                _settle(domain, timedelta(minutes=1))
        else:
            _settle(domain, next_check(establish(domain)))
    return len(domains)


def next_check(domain: Domain) -> timedelta:
    """Every minute for the first hour, then less and less up to hourly; daily once verified."""
    if domain.is_verified:
        return timedelta(days=1)
    age = timezone.now() - domain.created_at
    if age < timedelta(hours=1):
        return timedelta(minutes=1)
    return min(age / 12, timedelta(hours=1))


def _settle(domain: Domain, delay: timedelta) -> None:
    Domain.objects.settle([Settlement(domain, retry_in=delay)])
