"""When a failed delivery is retried."""

import random
from datetime import timedelta
from email.utils import parsedate_to_datetime

from django.utils import timezone

# Delays after the first failure, the second, ...: ten attempts in about 75 hours.
DELAYS = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
]
JITTER = 0.2
_HONOURS_RETRY_AFTER = {429, 503}
_GONE = 410


def next_delay(attempts: int, status_code: int | None, retry_after: str = "") -> timedelta | None:
    """The delay after this many attempts; None after the last one, and after a 410.

    `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3), is honoured on 429 and 503, within
    one to two times the planned delay.
    """
    if attempts > len(DELAYS) or status_code == _GONE:
        return None
    planned = DELAYS[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    honoured = status_code in _HONOURS_RETRY_AFTER
    requested = _parse_retry_after(retry_after) if honoured else timedelta()
    return min(max(planned, requested), planned * 2)


def _parse_retry_after(retry_after: str) -> timedelta:
    if retry_after.isascii() and retry_after.isdigit():
        return timedelta(seconds=int(retry_after[:6]))
    try:
        return parsedate_to_datetime(retry_after) - timezone.now()
    except (TypeError, ValueError, OverflowError):  # not a date, or one without a time zone
        return timedelta()
