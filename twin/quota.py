"""The sending limits of an account in one region, counted in recipients as SES does."""

import time
from collections import defaultdict, deque

from twin.aws import AwsError
from twin.faults import Faults

# What GetAccount reports while no limit is set: high enough for a bench on a laptop.
DEFAULT_DAILY_QUOTA = 50_000
DEFAULT_SEND_RATE = 500

_DAY = 86_400


class Quota:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._bucket: dict[str, tuple[float, float]] = {}
        self._sent: defaultdict[str, deque[tuple[int, int]]] = defaultdict(deque)

    def limits(self) -> tuple[float, float]:
        """(recipients a day, recipients a second) in force."""
        settings = self._faults.settings
        daily = DEFAULT_DAILY_QUOTA if settings.daily_quota is None else settings.daily_quota
        rate = DEFAULT_SEND_RATE if settings.send_rate is None else settings.send_rate
        return daily, rate

    def take(self, region: str, recipients: int) -> None:
        """Count a message, or raise as SES does over a limit.

        A message with many recipients passes while anything is left and goes into debt
        (Amazon SES blog, "How quickly can I send?").
        """
        settings = self._faults.settings
        if settings.daily_quota is not None and self.sent(region) >= settings.daily_quota:
            raise _over("Daily message quota exceeded.")
        if settings.send_rate is not None:
            self._take_tokens(region, recipients, rate=settings.send_rate)
        self._count(region, recipients)

    def sent(self, region: str) -> int:
        """Recipients in the last 24 hours."""
        minutes = self._sent[region]
        oldest = int(time.time() - _DAY) // 60
        while minutes and minutes[0][0] < oldest:
            minutes.popleft()
        return sum(count for _, count in minutes)

    def reset(self) -> None:
        self._bucket.clear()
        self._sent.clear()

    def _take_tokens(self, region: str, recipients: int, *, rate: float) -> None:
        now = time.monotonic()
        capacity = max(rate, 1.0)
        tokens, since = self._bucket.get(region, (capacity, now))
        tokens = min(capacity, tokens + (now - since) * rate)
        allowed = rate > 0 and tokens >= 1
        self._bucket[region] = (tokens - recipients if allowed else tokens, now)
        if not allowed:
            raise _over("Maximum sending rate exceeded.")

    def _count(self, region: str, recipients: int) -> None:
        minute = int(time.time()) // 60
        minutes = self._sent[region]
        before = minutes.pop()[1] if minutes and minutes[-1][0] == minute else 0
        minutes.append((minute, before + recipients))


def _over(message: str) -> AwsError:
    return AwsError("TooManyRequestsException", message, status=429)
