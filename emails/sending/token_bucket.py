"""How fast mail may leave: one token bucket a region for all workers, counted in recipients.

The buckets are rows of PostgreSQL and not keys of Redis. Mail is claimed by statements of
PostgreSQL anyway, so that tokens taken in the claim's transaction are neither lost nor spent
twice when a worker dies, and Redis stays something that may be emptied at any time.

Throttling halves the rate only when it is more than chance: among the calls of the last
seconds (older ones fade, by e in WINDOW) more than SPARE and a twentieth must have been
throttled, and that twice within WINDOW. SES refuses single calls far below the limit as well,
and a worker that stalls for a moment makes many calls at once afterwards; to slow down for that
would cost more than to try them again. After each time throttles don't count for a second,
because what was in flight is refused for the same reason. The rate comes back by steps.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from emails.models import SendRate
from emails.providers import Limits

logger = logging.getLogger(__name__)

BURST = 0.5  # seconds of the rate that a bucket holds
GATHER = 0.1  # seconds of the rate that are taken at once, so that claims are few
LONGEST_PAUSE = 1.0
REFRESH_EVERY = 300.0  # seconds between questions for the limits
REFRESH_TIMEOUT = 30.0  # after which another worker asks
RETRY_REFRESH_AFTER = 60.0  # when there was no answer
WINDOW = 10.0
SPARE = 3
TOLERATED = 0.05
CALM = 1.0  # seconds after too many throttles in which others belong to the same burst
SLOWEST = 1 / 64
STEP = 0.1  # of the full rate, each STEP_EVERY seconds
STEP_EVERY = 5.0

# `fresh` is the row, locked and brought up to the present `at`. clock_timestamp() is read after
# the lock was got: now() is when the transaction began, and others wrote the row since.
_FRESH = f"""
    WITH locked AS MATERIALIZED (SELECT * FROM send_rates WHERE name = %(name)s FOR UPDATE),
    timed AS MATERIALIZED (SELECT *, clock_timestamp() AS at FROM locked),
    aged AS (
        SELECT *, greatest(0, extract(epoch FROM at - filled_at))::float8 AS age,
               floor(extract(epoch FROM at - factor_at) / {STEP_EVERY})::float8 AS steps
          FROM timed),
    fresh AS MATERIALIZED (
        SELECT name, at, max_rate, daily_quota, refresh_at, paused_until, throttled_at,
               sent_24h + sent_since AS sent,
               least(greatest(1, {BURST} * max_rate * factor),
                     tokens + age * max_rate * factor) AS tokens,
               calls * exp(-age / {WINDOW}) AS calls,
               throttled * exp(-age / {WINDOW}) AS throttled,
               least(1, factor + {STEP} * steps) AS factor,
               CASE WHEN steps > 0 THEN at ELSE factor_at END AS factor_at
          FROM aged)
"""  # noqa: S608 (only constants of this module)
_BROUGHT_UP = "filled_at = at, factor = {0}.factor, factor_at = {0}.factor_at"

# A look that is due is this caller's from here on. What closed the region stays until a look.
_TAKE = f"""
    {_FRESH},
    weighed AS (
        SELECT *, least(%(wanted)s, greatest(1, {GATHER} * max_rate * factor)) AS enough,
               coalesce(paused_until, CASE WHEN sent >= daily_quota THEN refresh_at END) AS closed
          FROM fresh),
    granted AS MATERIALIZED (
        SELECT *, CASE WHEN closed IS NOT NULL OR tokens < enough THEN 0
                  ELSE floor(least(%(wanted)s, tokens, ceil(daily_quota - sent)))
                  END AS places
          FROM weighed)
    UPDATE send_rates AS rate
       SET {_BROUGHT_UP.format("granted")}, throttled = granted.throttled,
           tokens = granted.tokens - places, calls = granted.calls + places,
           sent_since = sent_since + places, paused_until = closed,
           refresh_at = CASE WHEN rate.refresh_at <= at
                     THEN at + make_interval(secs => {REFRESH_TIMEOUT}) ELSE rate.refresh_at END
      FROM granted WHERE rate.name = granted.name
    RETURNING places::int, granted.refresh_at <= at,
              CASE WHEN closed > at THEN closed END,
              CASE WHEN places > 0 THEN 0 WHEN closed IS NOT NULL THEN {GATHER}
                   ELSE (enough - granted.tokens)
                        / greatest(granted.max_rate * granted.factor, 0.001) END
"""  # noqa: S608
_CORRECT = """
    UPDATE send_rates SET tokens = tokens - %(recipients)s, calls = greatest(0, calls + %(calls)s),
           sent_since = greatest(0, sent_since + %(recipients)s)
     WHERE name = %(name)s
"""
_THROTTLED = f"""
    {_FRESH},
    counted AS (
        SELECT *, coalesce(at < throttled_at + make_interval(secs => {CALM}), false) AS is_echo,
               throttled + %(calls)s AS refused
          FROM fresh),
    judged AS MATERIALIZED (
        SELECT *, NOT is_echo AND refused > {SPARE} + {TOLERATED} * calls AS is_strike
          FROM counted),
    decided AS MATERIALIZED (
        SELECT *, coalesce(is_strike AND at < throttled_at + make_interval(secs => {WINDOW}), false)
               AS is_too_much
          FROM judged)
    UPDATE send_rates AS rate
       SET filled_at = at, tokens = decided.tokens + %(recipients)s,
           sent_since = greatest(0, sent_since - %(recipients)s),
           calls = CASE WHEN is_strike THEN 0 ELSE decided.calls END,
           throttled = CASE WHEN is_strike OR is_echo THEN 0 ELSE refused END,
           throttled_at = CASE WHEN is_strike THEN at ELSE decided.throttled_at END,
           factor = CASE WHEN is_too_much THEN greatest({SLOWEST}, decided.factor / 2)
                    ELSE decided.factor END,
           factor_at = CASE WHEN is_too_much THEN at ELSE decided.factor_at END
      FROM decided WHERE rate.name = decided.name
    RETURNING is_too_much, rate.factor
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Grant:
    """What a bucket gave: `places` tokens, or none and the seconds until it is worth asking.

    With `paused_until` the daily quota is used up. `is_refresh_due`: the caller must now ask the
    provider for its limits and tell `refresh_limits` what came of it.
    """

    places: int
    is_refresh_due: bool
    paused_until: datetime | None
    pause: float


def acquire(name: str, wanted: int) -> Grant:
    """Up to `wanted` tokens; in the claim's transaction, which keeps others out until it ends."""
    if (row := _run(_TAKE, name=name, wanted=wanted)) is None:
        SendRate.objects.bulk_create(
            [SendRate(name=name, max_rate=settings.SEND_RATE_UNTIL_KNOWN)], ignore_conflicts=True
        )
        row = _run(_TAKE, name=name, wanted=wanted)
        assert row is not None
    places, is_refresh_due, paused_until, pause = row
    return Grant(places, is_refresh_due, paused_until, min(pause, LONGEST_PAUSE))


def adjust(name: str, *, recipients: int, calls: int = 0) -> None:
    """Book what a claim cost beyond its tokens, or give back (below 0) what it did not use."""
    if recipients or calls:
        _run(_CORRECT, name=name, recipients=recipients, calls=calls)


def record_throttles(name: str, *, calls: int, recipients: int) -> None:
    """The provider found us too fast this often; the tokens for it are given back."""
    row = _run(_THROTTLED, name=name, calls=calls, recipients=recipients)
    if row and row[0]:
        logger.warning("Sending more slowly", extra={"rate": name, "factor": row[1]})


def pause_until_quota(name: str, *, recipients: int) -> None:
    """The provider says that the daily quota is used up; until the next look nothing is sent."""
    _run(
        "UPDATE send_rates SET tokens = tokens + %(recipients)s,"
        " sent_since = greatest(0, sent_since - %(recipients)s),"
        " paused_until = clock_timestamp() + make_interval(secs => %(pause)s),"
        " refresh_at = clock_timestamp() + make_interval(secs => %(pause)s)"
        " WHERE name = %(name)s",
        name=name,
        recipients=recipients,
        pause=REFRESH_EVERY,
    )


def refresh_limits(name: str, limits: Limits | None) -> None:
    """Write what a look brought; None when there was no answer, and what was known goes on.

    The first answer fills the bucket: nobody has sent by it.
    """
    if limits is None:
        _run(
            "UPDATE send_rates SET paused_until = NULL,"
            " refresh_at = clock_timestamp() + make_interval(secs => %(pause)s)"
            " WHERE name = %(name)s",
            name=name,
            pause=RETRY_REFRESH_AFTER,
        )
        return
    _run(
        "UPDATE send_rates SET max_rate = %(rate)s, daily_quota = %(quota)s,"
        " sent_24h = %(sent)s, sent_since = 0, paused_until = NULL,"
        " tokens = CASE WHEN refreshed_at IS NULL"
        "  THEN least(%(rate)s::float8, greatest(1, %(burst)s * %(rate)s::float8)) ELSE tokens END,"
        " refreshed_at = clock_timestamp(),"
        " refresh_at = clock_timestamp() + make_interval(secs => %(pause)s) WHERE name = %(name)s",
        name=name,
        rate=limits.rate,
        quota=limits.daily_quota,
        sent=limits.sent_24h,
        burst=BURST,
        pause=REFRESH_EVERY,
    )


def _run(statement: str, **values: Any) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone() if cursor.description else None
    return row
