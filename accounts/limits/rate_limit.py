"""Token buckets in Redis: requests per key, and requests without a valid key per client address.

Without Redis, requests pass.
"""

import math
from typing import Any, NamedTuple

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.access import Access
from core import redis

# Redis's own clock, so that web hosts need not agree on the time.
_SCRIPT = """
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(bucket[1]) or burst
tokens = math.min(burst, tokens + math.max(0, now - (tonumber(bucket[2]) or now)) * rate)
local allowed = tokens >= 1
if allowed then tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return {allowed and 1 or 0, tostring(tokens)}
"""


class RateLimit(NamedTuple):
    allowed: bool
    limit: int
    remaining: int
    reset: int  # seconds until the bucket is full again
    retry_after: int  # seconds until the next request passes

    def headers(self) -> dict[str, str]:
        return {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(self.reset),
        }


class ApiKeyThrottle(BaseThrottle):
    def allow_request(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, Access):
            return True
        self.verdict = acquire(request.auth)
        if self.verdict is None:
            return True
        request._request.rate_limit = self.verdict  # type: ignore[attr-defined]
        return self.verdict.allowed

    def wait(self) -> float | None:
        return self.verdict.retry_after if self.verdict else None


def acquire(access: Access) -> RateLimit | None:
    """One token for one request; None when there is no limit or no Redis to count in."""
    workspace = access.workspace
    rate = settings.API_RATE_LIMIT if workspace.rate_limit is None else workspace.rate_limit
    if not rate:
        return None
    own_burst = workspace.rate_burst
    burst = max(1, own_burst if own_burst is not None else max(settings.API_RATE_BURST, rate))
    return _take(str(access.actor.id), rate=rate, burst=burst)


def acquire_failure(network: str | None) -> RateLimit | None:
    """One token for one request without a valid key; None as in `acquire`.

    A valid key never needs one: it has 192 random bits, so the limit need not keep it from being
    guessed, only the guesses from costing much and from going unnoticed.
    """
    per_minute = settings.API_AUTH_FAILURE_LIMIT
    if not per_minute:
        return None
    return _take(f"failures:{network}", rate=per_minute / 60, burst=per_minute)


def _take(name: str, *, rate: float, burst: int) -> RateLimit | None:
    answer = redis.attempt(
        "rate_limit",
        lambda client: client.register_script(_SCRIPT)(
            keys=[f"opensend:rate:{name}"], args=[rate, burst]
        ),
    )
    return _verdict(answer, rate=rate, burst=burst) if answer else None


def _verdict(answer: Any, *, rate: float, burst: int) -> RateLimit:
    allowed, tokens = bool(answer[0]), float(answer[1])
    return RateLimit(
        allowed=allowed,
        limit=math.ceil(rate),
        remaining=math.floor(tokens),
        reset=math.ceil((burst - tokens) / rate),
        retry_after=max(1, math.ceil((1 - tokens) / rate)),
    )
