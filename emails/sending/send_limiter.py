"""Keeps one worker's sending within the rate limits that all workers share."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from django.db import transaction

from emails.models import Email
from emails.providers import Limits, Provider, QuotaExceeded, Throttled, get_provider
from emails.sending import daily_quota, token_bucket
from emails.sending.send_results import SendResult

logger = logging.getLogger(__name__)

REFRESH_POLL = 0.05  # seconds between checks whether a refresh has finished


class SendLimiter:
    """For one run of one worker. Not thread-safe; only the refreshes run in the pool."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._refreshes: dict[str, Future[Limits | None]] = {}
        self._not_before: dict[str, float] = {}
        self._throttled: Counter[str] = Counter()
        self._refunds: Counter[str] = Counter()
        self._exhausted: set[str] = set()

    def acquire(
        self, provider: str, region: str, limit: int, claim: Callable[[int], list[Email]]
    ) -> list[Email]:
        """Claim up to `limit` emails, no more than the rate allows."""
        chosen = get_provider(provider)
        bucket = chosen.bucket(region)
        if not bucket:
            return claim(limit)
        if time.monotonic() < self._not_before.get(bucket, 0.0):
            return []
        with suppress(Exception):  # the provider calls fail for the same reason and report it
            chosen.prepare(region)
        with transaction.atomic():
            grant = token_bucket.acquire(bucket, limit)
            emails = claim(grant.tokens) if grant.tokens else []
            cost = sum(_cost(email) for email in emails)
            token_bucket.adjust(
                bucket, recipients=cost - grant.tokens, calls=len(emails) - grant.tokens
            )
        if grant.is_refresh_due:
            self._refreshes[bucket] = self._pool.submit(_fetch_limits, chosen, region)
        if grant.paused_until:
            self._defer(provider, region, grant.paused_until)
        elif not grant.tokens:
            self._not_before[bucket] = time.monotonic() + grant.pause
        return emails

    def pause(self) -> float | None:
        """Seconds until the next try is worth it; None when no rate limit is waited for."""
        now = time.monotonic()
        waits = [until - now for until in self._not_before.values() if until > now]
        waits += [REFRESH_POLL for _ in self._refreshes]
        return min(waits, default=None)

    def release_unused(self, emails: Sequence[Email], used: Mapping[UUID, int]) -> None:
        """Return the tokens of dropped recipients; `used` are the tokens that each email needs."""
        unused: Counter[str] = Counter()
        for email in emails:
            unused[_bucket(email)] += _cost(email) - used.get(email.pk, 0)
        for bucket, recipients in unused.items():
            if bucket:
                token_bucket.adjust(bucket, recipients=-recipients)

    def record_throttles(self, results: Sequence[SendResult]) -> None:
        """Remember the calls that hit the rate limit or the daily quota, for `flush`."""
        for result in results:
            if not isinstance(result.answer, Throttled | QuotaExceeded):
                continue
            if bucket := _bucket(result.email):
                self._refunds[bucket] += result.recipients
                if isinstance(result.answer, Throttled):
                    self._throttled[bucket] += 1
                else:
                    self._exhausted.add(bucket)

    def flush(self) -> None:
        """Save the throttles and the refreshed limits for all workers."""
        for bucket in [bucket for bucket, refresh in self._refreshes.items() if refresh.done()]:
            token_bucket.refresh_limits(bucket, self._refreshes.pop(bucket).result())
            self._not_before.pop(bucket, None)
        for bucket in list(self._refunds):
            recipients = self._refunds.pop(bucket)
            if bucket in self._exhausted:
                token_bucket.pause_until_quota(bucket, recipients=recipients)
            else:
                token_bucket.record_throttles(
                    bucket, calls=self._throttled[bucket], recipients=recipients
                )
        self._throttled.clear()
        self._exhausted.clear()

    def _defer(self, provider: str, region: str, until: datetime) -> None:
        logger.info("The daily quota is used up", extra={"region": region})
        daily_quota.defer(provider, region, until=until)


def _fetch_limits(provider: Provider, region: str) -> Limits | None:
    """The provider's limits, or None on any error. Runs in a thread of the pool."""
    try:
        return provider.limits(region)
    except Exception as error:
        logger.warning(
            "Could not fetch the provider limits", extra={"region": region, "reason": str(error)}
        )
        return None


def _bucket(email: Email) -> str:
    return get_provider(email.provider).bucket(email.region)


def _cost(email: Email) -> int:
    return len(email.to) + len(email.cc) + len(email.bcc)
