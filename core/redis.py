"""Redis for data that may be lost: a call returns within milliseconds or is skipped."""

import logging
import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import metrics

logger = logging.getLogger(__name__)

R = TypeVar("R")
BACKOFF = 1.0  # seconds without a call after a failure

_unavailable_until = 0.0


def attempt(use: str, action: Callable[["redis.Redis"], R]) -> R | None:
    """The result of `action`, or None when Redis fails or takes longer than 50 ms.

    After a failure no call is made for a second, so a hanging Redis costs a process 50 ms per
    second rather than 50 ms per request. `use` labels the log line and the metric.
    """
    global _unavailable_until
    if time.monotonic() >= _unavailable_until:
        try:
            return action(client())
        except redis.RedisError:
            _unavailable_until = time.monotonic() + BACKOFF
            logger.warning("Redis is unavailable; continuing without it", extra={"use": use})
    metrics.REDIS_UNAVAILABLE.labels(use).inc()
    return None


@cache
def client() -> "redis.Redis":
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=0.04,
        socket_timeout=0.04,
        retry=Retry(NoBackoff(), 0),
    )
