"""The work behind `domains.tasks`: look after the domains that are due."""

import logging
from contextlib import suppress
from datetime import timedelta

from django.utils import timezone

from core.errors import NotFound
from core.queue.work import Settlement
from domains.models import Domain
from domains.services import establish, remove_identity

logger = logging.getLogger(__name__)

BATCH = 10
LEASE = timedelta(minutes=5)  # ten domains, up to three calls of at most 20 s each, and slack


def check_due() -> int:
    """Claim some due domains and ask SES about each; how many were claimed."""
    domains = Domain.objects.claim(limit=BATCH, lease=LEASE)
    for domain in domains:
        _look_after(domain)
    return len(domains)


def next_check(domain: Domain) -> timedelta:
    """Every minute for the first hour, then less and less up to hourly; daily once verified."""
    if domain.is_verified:
        return timedelta(days=1)
    age = timezone.now() - domain.created_at
    if age < timedelta(hours=1):
        return timedelta(minutes=1)
    return min(age / 12, timedelta(hours=1))


def _look_after(domain: Domain) -> None:
    if domain.is_poisoned:
        logger.error("The worker died over domain %s each time it was claimed", domain.pk)
        _settle(domain, timedelta(days=1))
    elif domain.deleted_at is not None:
        if not remove_identity(domain):
            _settle(domain, timedelta(minutes=1))
    else:
        with suppress(NotFound):  # removed meanwhile: the row is due again for that
            _settle(domain, next_check(establish(domain)))


def _settle(domain: Domain, delay: timedelta) -> None:
    Domain.objects.settle([Settlement(domain, retry_in=delay)])
