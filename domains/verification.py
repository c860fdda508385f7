"""Checks due domains at SES and retries pending deletions; the work behind `domains.tasks`."""

import logging
from contextlib import suppress
from datetime import timedelta

from django.utils import timezone

from core.errors import NotFound
from core.queue.work import Settlement
from domains.models import Domain
from domains.services import delete_identity, establish

logger = logging.getLogger(__name__)

BATCH = 10
LEASE = timedelta(minutes=5)  # ten domains, up to three calls of at most 20 s each, plus slack


def check_due() -> int:
    """Claim a batch of due domains and process each; returns how many were claimed."""
    domains = Domain.objects.claim(limit=BATCH, lease=LEASE)
    for domain in domains:
        _process(domain)
    return len(domains)


def next_check(domain: Domain) -> timedelta:
    """Every minute in the first hour, then less often, at least hourly; daily once verified."""
    if domain.is_verified:
        return timedelta(days=1)
    age = timezone.now() - domain.created_at
    if age < timedelta(hours=1):
        return timedelta(minutes=1)
    return min(age / 12, timedelta(hours=1))


def _process(domain: Domain) -> None:
    if domain.is_poisoned:
        logger.error(
            "Poisoned domain %s: the worker crashed on every claim, deferring it for a day",
            domain.pk,
        )
        _settle(domain, timedelta(days=1))
    elif domain.deleted_at is not None:
        if not delete_identity(domain):
            _settle(domain, timedelta(minutes=1))
    else:
        with suppress(NotFound):  # deleted meanwhile: the row is due again for its deletion
            _settle(domain, next_check(establish(domain)))


def _settle(domain: Domain, delay: timedelta) -> None:
    Domain.objects.settle([Settlement(domain, retry_in=delay)])
