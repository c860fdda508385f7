"""When a failed delivery is tried again."""

import random
from datetime import timedelta

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


def next_delay(attempts: int, status_code: int | None, retry_after: str = "") -> timedelta | None:
    """How long to wait after that many attempts; None when there are no more.

    `Retry-After` in seconds (RFC 9110 section 10.2.3) counts on 429 and 503, between the
    planned delay and twice that.
    """
    if attempts > len(DELAYS):
        return None
    planned = DELAYS[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    if status_code in _HEEDED and retry_after.isascii() and retry_after.isdigit():
        asked = timedelta(seconds=min(int(retry_after[:9]), 10**6))
        return min(max(planned, asked), planned * 2)
    return planned
