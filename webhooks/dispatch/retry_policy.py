"""When a failed delivery is tried again."""

import random
from datetime import timedelta
from email.utils import parsedate_to_datetime

from django.utils import timezone

# After the first failure, the second, ...: ten attempts in about 75 hours.
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
_HEEDED = {429, 503}
_GONE = 410


def next_delay(attempts: int, status_code: int | None, retry_after: str = "") -> timedelta | None:
    """How long to wait after that many attempts; None when there are no more, and after a 410.

    `Retry-After`, in seconds or as a date (RFC 9110 section 10.2.3), counts on 429 and 503,
    between the planned delay and twice that.
    """
    if attempts > len(DELAYS) or status_code == _GONE:
        return None
    planned = DELAYS[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    asked = _asked(retry_after) if status_code in _HEEDED else timedelta()
    return min(max(planned, asked), planned * 2)


def _asked(retry_after: str) -> timedelta:
    if retry_after.isascii() and retry_after.isdigit():
        return timedelta(seconds=int(retry_after[:6]))
    try:
        return parsedate_to_datetime(retry_after) - timezone.now()
    except (TypeError, ValueError, OverflowError):  # no date, or one without a zone
        return timedelta()
