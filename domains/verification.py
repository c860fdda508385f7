"""Checks due domains at SES and retries pending deletions; the work behind `domains.tasks`."""

import logging
from datetime import timedelta

from django.utils import timezone

from core.errors import NotFound
from core.queue.queues import Batch
from core.queue.wake import pass_on
from core.queue.work import Settlement
from domains import queues
from domains.models import Domain
from domains.services import delete_identity, verify_domain

logger = logging.getLogger(__name__)

BATCH = 10
LEASE = timedelta(minutes=5)  # ten domains, up to three calls of at most 20 s each, plus slack


def check_due() -> Batch:
    """Claim a batch of due domains and process each; failed ones are retried later."""
    domains = Domain.objects.claim(limit=BATCH, lease=LEASE)
    pass_on(queues.CHECK.task, claimed=len(domains), limit=BATCH)
    failed = sum(not _process(domain) for domain in domains)
    return Batch(len(domains), processed=len(domains) - failed, failed=failed)


def next_check(domain: Domain) -> timedelta:
    """Every minute in the first hour, then less often, at least hourly; daily once verified."""
    if domain.is_verified:
        return timedelta(days=1)
    age = timezone.now() - domain.created_at
    if age < timedelta(hours=1):
        return timedelta(minutes=1)
    return min(age / 12, timedelta(hours=1))


def _process(domain: Domain) -> bool:
    """Whether it went well: the domain isn't poisoned and SES was available."""
    if domain.is_poisoned:
        logger.error(
            "Poisoned domain %s: the worker crashed on every claim, deferring it for a day",
            domain.pk,
        )
        _settle(domain, timedelta(days=1))
        return False
    if domain.deleted_at is not None:
        is_deleted = delete_identity(domain)
        if not is_deleted:
            _settle(domain, timedelta(minutes=1))
        return is_deleted
    try:
        checked = verify_domain(domain)
    except NotFound:  # deleted meanwhile: the row is due again for its deletion
        return True
    _settle(domain, next_check(checked))  # the row as claimed: its fencing counter is ours
    return not checked.reason


def _settle(domain: Domain, delay: timedelta) -> None:
    Domain.objects.settle([Settlement(domain, retry_in=delay)])
