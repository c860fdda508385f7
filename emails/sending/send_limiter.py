"""What a worker does about rates while it sends: asks for places, waits, looks, tells."""

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
from emails.sending.send_results import Outcome

logger = logging.getLogger(__name__)

LOOKING = 0.05  # seconds between checks for the answer to a look


class SendLimiter:
    """For one run of one worker; every method but the looks' own runs in its thread."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._looks: dict[str, Future[Limits | None]] = {}
        self._not_before: dict[str, float] = {}
        self._throttled: Counter[str] = Counter()
        self._refunds: Counter[str] = Counter()
        self._exhausted: set[str] = set()

    def acquire(
        self, provider: str, region: str, wanted: int, claim: Callable[[int], list[Email]]
    ) -> list[Email]:
        """What `claim` finds for as many of the wanted places as the rate allows."""
        chosen = get_provider(provider)
        bucket = chosen.bucket(region)
        if not bucket:
            return claim(wanted)
        if time.monotonic() < self._not_before.get(bucket, 0.0):
            return []
        with suppress(Exception):  # the messages will run into it themselves
            chosen.prepare(region)
        with transaction.atomic():
            grant = token_bucket.acquire(bucket, wanted)
            emails = claim(grant.places) if grant.places else []
            cost = sum(_cost(email) for email in emails)
            token_bucket.adjust(
                bucket, recipients=cost - grant.places, calls=len(emails) - grant.places
            )
        if grant.is_refresh_due:
            self._looks[bucket] = self._pool.submit(_look, chosen, region)
        if grant.paused_until:
            self._defer(provider, region, grant.paused_until)
        elif not grant.places:
            self._not_before[bucket] = time.monotonic() + grant.pause
        return emails

    def pause(self) -> float | None:
        """Seconds until a rate or a look lets something through; None when none holds it up."""
        now = time.monotonic()
        waits = [until - now for until in self._not_before.values() if until > now]
        waits += [LOOKING for _ in self._looks]
        return min(waits, default=None)

    def release_unused(self, emails: Sequence[Email], spent: Mapping[UUID, int]) -> None:
        """Return the tokens of recipients that were dropped; `spent` are those of each email."""
        unspent: Counter[str] = Counter()
        for email in emails:
            unspent[_bucket(email)] += _cost(email) - spent.get(email.pk, 0)
        for bucket, recipients in unspent.items():
            if bucket:
                token_bucket.adjust(bucket, recipients=-recipients)

    def record_throttles(self, outcomes: Sequence[Outcome]) -> None:
        """Remember what the provider refused for the rate or the day, for `flush`."""
        for outcome in outcomes:
            if not isinstance(outcome.result, Throttled | QuotaExceeded):
                continue
            if bucket := _bucket(outcome.email):
                self._refunds[bucket] += outcome.recipients
                if isinstance(outcome.result, Throttled):
                    self._throttled[bucket] += 1
                else:
                    self._exhausted.add(bucket)

    def flush(self) -> None:
        """Write what was noted and what looks brought, for all workers."""
        for bucket in [bucket for bucket, look in self._looks.items() if look.done()]:
            token_bucket.refresh_limits(bucket, self._looks.pop(bucket).result())
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


def _look(provider: Provider, region: str) -> Limits | None:
    """The provider's limits, or None; in a thread of the pool, and no exception leaves."""
    try:
        return provider.limits(region)
    except Exception as error:
        logger.warning("No word of the limits", extra={"region": region, "reason": str(error)})
        return None


def _bucket(email: Email) -> str:
    return get_provider(email.provider).bucket(email.region)


def _cost(email: Email) -> int:
    return len(email.to) + len(email.cc) + len(email.bcc)
