"""Redis for what may be lost: answers in milliseconds or is done without."""

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
REST = 1.0  # seconds without a try after Redis failed to answer

_silent_until = 0.0


def attempt(use: str, action: Callable[["redis.Redis"], R]) -> R | None:
    """What the action returns, or None when Redis doesn't answer within 50 ms.

    After a failure Redis is left alone for a second, so that a hanging one costs a process
    50 ms a second and not 50 ms a request.
    """
    global _silent_until
    if time.monotonic() >= _silent_until:
        try:
            return action(client())
        except redis.RedisError:
            _silent_until = time.monotonic() + REST
            logger.warning("Redis does not answer; going without it", extra={"use": use})
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
