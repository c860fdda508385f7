"""Rate limit for sending: one token bucket per region for all workers; a token is a recipient.

The buckets are PostgreSQL rows, not Redis keys. Mail is claimed in PostgreSQL, so tokens acquired
in the claim's transaction are neither lost nor spent twice when a worker crashes, and Redis may
still be flushed at any time.

Throttling halves the rate only if it is more than chance. An overload is more throttled calls
than TOLERATED_THROTTLES plus TOLERATED_SHARE of the recent calls (counts decay by a factor of e
in WINDOW). Two overloads within WINDOW halve the rate, and it recovers step by step. SES throttles
single calls far below the limit as well, and a worker that stalled makes many calls at once
afterwards; slowing down for these would cost more than retrying them. For COOLDOWN after an
overload further throttles are ignored: the calls in flight are throttled for the same reason.
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

BURST = 0.5  # capacity of a bucket, in seconds of its rate
MIN_GRANT = 0.1  # the least to acquire at once, in seconds of the rate, to keep claims few
MAX_PAUSE = 1.0
REFRESH_EVERY = 300.0  # seconds between fetches of the provider's limits
REFRESH_TIMEOUT = 30.0  # after this many seconds another worker fetches them
RETRY_REFRESH_AFTER = 60.0  # seconds after a failed fetch
WINDOW = 10.0  # seconds
TOLERATED_THROTTLES = 3
TOLERATED_SHARE = 0.05
COOLDOWN = 1.0  # seconds after an overload in which throttles belong to the same burst
MIN_FACTOR = 1 / 64
RECOVERY_STEP = 0.1  # of the full rate, each RECOVERY_INTERVAL seconds
RECOVERY_INTERVAL = 5.0

# `refilled` is the locked row with its values as of `at`. clock_timestamp() is read once the lock
# is held: now() is the start of the transaction, and another worker may have written the row since.
_REFILLED = f"""
    WITH locked AS MATERIALIZED (SELECT * FROM send_rates WHERE name = %(name)s FOR UPDATE),
    timed AS MATERIALIZED (SELECT *, clock_timestamp() AS at FROM locked),
    aged AS (
        SELECT *, greatest(0, extract(epoch FROM at - filled_at))::float8 AS age,
               floor(extract(epoch FROM at - factor_at) / {RECOVERY_INTERVAL})::float8 AS steps
          FROM timed),
    refilled AS MATERIALIZED (
        SELECT name, at, max_rate, daily_quota, refresh_at, paused_until, throttled_at,
               sent_24h + sent_since AS sent,
               least(greatest(1, {BURST} * max_rate * factor),
                     tokens + age * max_rate * factor) AS tokens,
               calls * exp(-age / {WINDOW}) AS calls,
               throttled * exp(-age / {WINDOW}) AS throttled,
               least(1, factor + {RECOVERY_STEP} * steps) AS factor,
               CASE WHEN steps > 0 THEN at ELSE factor_at END AS factor_at
          FROM aged)
"""  # noqa: S608 (only constants of this module)
_SET_REFILLED = "filled_at = at, factor = {0}.factor, factor_at = {0}.factor_at"

# The caller that gets a due refresh must do it: `refresh_at` moves on for everybody else. A pause
# lasts until a refresh.
_ACQUIRE = f"""
    {_REFILLED},
    checked AS (
        SELECT *, least(%(requested)s, greatest(1, {MIN_GRANT} * max_rate * factor)) AS enough,
               coalesce(paused_until, CASE WHEN sent >= daily_quota THEN refresh_at END)
               AS blocked_until
          FROM refilled),
    granted AS MATERIALIZED (
        SELECT *, CASE WHEN blocked_until IS NOT NULL OR tokens < enough THEN 0
                  ELSE floor(least(%(requested)s, tokens, ceil(daily_quota - sent)))
                  END AS acquired
          FROM checked)
    UPDATE send_rates AS rate
       SET {_SET_REFILLED.format("granted")}, throttled = granted.throttled,
           tokens = granted.tokens - acquired, calls = granted.calls + acquired,
           sent_since = sent_since + acquired, paused_until = blocked_until,
           refresh_at = CASE WHEN rate.refresh_at <= at
                     THEN at + make_interval(secs => {REFRESH_TIMEOUT}) ELSE rate.refresh_at END
      FROM granted WHERE rate.name = granted.name
    RETURNING acquired::int, granted.refresh_at <= at,
              CASE WHEN blocked_until > at THEN blocked_until END,
              CASE WHEN acquired > 0 THEN 0 WHEN blocked_until IS NOT NULL THEN {MIN_GRANT}
                   ELSE (enough - granted.tokens)
                        / greatest(granted.max_rate * granted.factor, 0.001) END
"""  # noqa: S608
_ADJUST = """
    UPDATE send_rates SET tokens = tokens - %(recipients)s, calls = greatest(0, calls + %(calls)s),
           sent_since = greatest(0, sent_since + %(recipients)s)
     WHERE name = %(name)s
"""
_RECORD_THROTTLES = f"""
    {_REFILLED},
    counted AS (
        SELECT *, coalesce(at < throttled_at + make_interval(secs => {COOLDOWN}), false)
               AS is_same_burst,
               throttled + %(calls)s AS total_throttled
          FROM refilled),
    classified AS MATERIALIZED (
        SELECT *, NOT is_same_burst
               AND total_throttled > {TOLERATED_THROTTLES} + {TOLERATED_SHARE} * calls
               AS is_overload
          FROM counted),
    decided AS MATERIALIZED (
        SELECT *, coalesce(
                   is_overload AND at < throttled_at + make_interval(secs => {WINDOW}), false)
               AS is_repeated
          FROM classified)
    UPDATE send_rates AS rate
       SET filled_at = at, tokens = decided.tokens + %(recipients)s,
           sent_since = greatest(0, sent_since - %(recipients)s),
           calls = CASE WHEN is_overload THEN 0 ELSE decided.calls END,
           throttled = CASE WHEN is_overload OR is_same_burst THEN 0 ELSE total_throttled END,
           throttled_at = CASE WHEN is_overload THEN at ELSE decided.throttled_at END,
           factor = CASE WHEN is_repeated THEN greatest({MIN_FACTOR}, decided.factor / 2)
                    ELSE decided.factor END,
           factor_at = CASE WHEN is_repeated THEN at ELSE decided.factor_at END
      FROM decided WHERE rate.name = decided.name
    RETURNING is_repeated, rate.factor
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Grant:
    """The acquired tokens, or 0 tokens and the seconds after which to try again.

    `paused_until` is set while the daily quota is used up. `is_refresh_due`: the caller must now
    fetch the provider's limits and pass them to `refresh_limits`.
    """

    tokens: int
    is_refresh_due: bool
    paused_until: datetime | None
    pause: float


def acquire(name: str, requested: int) -> Grant:
    """Up to `requested` tokens; locks the bucket until the transaction of the claim ends."""
    if (row := _run(_ACQUIRE, name=name, requested=requested)) is None:
        SendRate.objects.bulk_create(
            [SendRate(name=name, max_rate=settings.SEND_RATE_UNTIL_KNOWN)], ignore_conflicts=True
        )
        row = _run(_ACQUIRE, name=name, requested=requested)
        assert row is not None
    tokens, is_refresh_due, paused_until, pause = row
    return Grant(tokens, is_refresh_due, paused_until, min(pause, MAX_PAUSE))


def adjust(name: str, *, recipients: int, calls: int = 0) -> None:
    """Charge what a claim cost beyond its tokens; negative numbers return unused ones."""
    if recipients or calls:
        _run(_ADJUST, name=name, recipients=recipients, calls=calls)


def record_throttles(name: str, *, calls: int, recipients: int) -> None:
    """The provider throttled this many calls; their tokens are returned."""
    row = _run(_RECORD_THROTTLES, name=name, calls=calls, recipients=recipients)
    if row and row[0]:
        logger.warning("Send rate halved after throttling", extra={"rate": name, "factor": row[1]})


def pause_until_quota(name: str, *, recipients: int) -> None:
    """The provider's daily quota is used up: pause until the next refresh, return the tokens."""
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
    """Save fetched limits; None, after a failed fetch, keeps the known ones and ends a pause.

    The first limits fill the bucket: nothing has been sent at this rate yet.
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
