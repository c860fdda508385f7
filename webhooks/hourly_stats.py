"""Hourly request statistics: the chart on an endpoint's page, and totals of the last day."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.db.models import F, Max, Sum
from django.utils import timezone

from core.admin.base import Panel
from webhooks.models import Endpoint, EndpointHour

HOUR = timedelta(hours=1)
CHART_HOURS = 48
DAY_HOURS = 24

# Milliseconds at the bottom and the top of the latency chart, which has a logarithmic scale.
_FASTEST, _SLOWEST = 1, 100_000
_MIN_HEIGHT = 4  # of 100, so that one failure in a thousand is still visible


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of requests, and their durations in milliseconds."""

    succeeded: int = 0
    failed: int = 0
    total_ms: int = 0
    slowest_ms: int = 0

    @property
    def requests(self) -> int:
        return self.succeeded + self.failed

    @property
    def success_rate(self) -> float | None:
        return self.succeeded / self.requests if self.requests else None

    @property
    def mean_ms(self) -> float:
        return self.total_ms / self.requests if self.requests else 0

    @property
    def rate(self) -> str:
        """`99.9 %` with a no-break space; rounded down, so that 100 % means all."""
        if self.success_rate is None:
            return ""
        return f"{math.floor(self.success_rate * 1000) / 10:.4g}\N{NO-BREAK SPACE}%"

    @property
    def mean(self) -> str:
        return f"{self.mean_ms:,.0f} ms" if self.requests else ""

    @property
    def slowest(self) -> str:
        return f"{self.slowest_ms:,} ms" if self.requests else ""

    @property
    def summary(self) -> str:
        if not self.requests:
            return "no requests"
        noun = "request" if self.requests == 1 else "requests"
        return (
            f"{self.requests:,} {noun}, {self.rate} succeeded,"
            f" mean {self.mean}, slowest {self.slowest}"
        )


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of the chart. `x` is the hour's index; `y` grows downwards, from 0 to 100."""

    x: int
    y: str
    height: str
    kind: str


@dataclass(frozen=True, slots=True)
class Hour:
    x: int
    start: datetime
    tally: Tally

    @property
    def title(self) -> str:
        return f"{self.start:%d %b %H:%M} to {self.start + HOUR:%H:%M}: {self.tally.summary}"


@dataclass(frozen=True, slots=True)
class Band:
    """One row of the chart with the labels of its upper and lower end."""

    title: str
    upper: str
    lower: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class HourlyStats:
    """Totals of the last day, the chart, and its data as a table."""

    template: ClassVar[str] = "webhooks/admin/hourly_stats.html"

    hours: Sequence[Hour]
    day: Tally
    bands: Sequence[Band]
    table: Panel
    # Hours that are labelled below the chart.
    marks: Sequence[Hour]

    @property
    def totals(self) -> list[tuple[str, str]]:
        return [
            ("Requests in 24 h", f"{self.day.requests:,}"),
            ("Success rate", self.day.rate),
            ("Mean", self.day.mean),
            ("Slowest", self.day.slowest),
        ]

    @property
    def summary(self) -> str:
        return f"{len(self.hours)} hours: {total([hour.tally for hour in self.hours]).summary}"


def last_hours(endpoint: Endpoint) -> HourlyStats:
    """The last CHART_HOURS hours, in one query."""
    first = _this_hour() - (CHART_HOURS - 1) * HOUR
    tallies = {row.hour: _tally_of(row) for row in endpoint.hours.filter(hour__gte=first)}
    starts = [first + number * HOUR for number in range(CHART_HOURS)]
    hours = [Hour(x, start, tallies.get(start, Tally())) for x, start in enumerate(starts)]
    return HourlyStats(
        hours=hours,
        day=total([hour.tally for hour in hours[-DAY_HOURS:]]),
        bands=[_rates(hours), _volumes(hours), _latencies(hours)],
        table=_table(hours),
        marks=[hour for hour in hours if hour.start.hour % 6 == 0],
    )


def last_day_totals(endpoints: Sequence[Endpoint]) -> dict[UUID, Tally]:
    """The last day's totals by endpoint id, in one query; endpoints without requests are absent."""
    rows = EndpointHour.objects.filter(
        endpoint__in=[endpoint.pk for endpoint in endpoints],
        hour__gt=_this_hour() - DAY_HOURS * HOUR,
    )
    sums = rows.values("endpoint_id").annotate(
        ok=Sum("succeeded"), bad=Sum("failed"), ms=Sum("total_ms"), most=Max(F("slowest_ms"))
    )
    return {
        row["endpoint_id"]: Tally(row["ok"], row["bad"], row["ms"], row["most"]) for row in sums
    }


def total(tallies: Sequence[Tally]) -> Tally:
    return Tally(
        sum(each.succeeded for each in tallies),
        sum(each.failed for each in tallies),
        sum(each.total_ms for each in tallies),
        max((each.slowest_ms for each in tallies), default=0),
    )


def _this_hour() -> datetime:
    return timezone.now().replace(minute=0, second=0, microsecond=0)


def _tally_of(row: EndpointHour) -> Tally:
    return Tally(row.succeeded, row.failed, row.total_ms, row.slowest_ms)


def _rates(hours: Sequence[Hour]) -> Band:
    """A bar as high as the rate; below 100 % it ends in a red mark, and 0 % is only that."""
    bars: list[Bar] = []
    for hour in hours:
        if (rate := hour.tally.success_rate) is None:
            continue
        mark = 0 if rate == 1 else _MIN_HEIGHT
        top = min((1 - rate) * 100, 100 - mark)
        bars.append(_bar(hour, top, top + mark, "bad"))
        bars.append(_bar(hour, top + mark, 100, "good"))
    return Band("Success rate", "100 %", "0", bars)


def _volumes(hours: Sequence[Hour]) -> Band:
    most = max(hour.tally.requests for hour in hours)
    bars = [
        _bar(hour, 100 - max(hour.tally.requests / most * 100, _MIN_HEIGHT), 100, "plain")
        for hour in hours
        if hour.tally.requests
    ]
    return Band("Requests", f"{most:,}" if most else "", "0", bars)


def _latencies(hours: Sequence[Hour]) -> Band:
    """A bar from the mean to the slowest, with a mark at the mean."""
    bars: list[Bar] = []
    for hour in hours:
        if hour.tally.requests:
            mean = _log_y(hour.tally.mean_ms)
            bars.append(_bar(hour, _log_y(hour.tally.slowest_ms), mean, "pale"))
            bars.append(_bar(hour, mean - _MIN_HEIGHT / 2, mean + _MIN_HEIGHT / 2, "plain"))
    return Band("Mean to slowest", "100 s", "1 ms", bars)


def _log_y(milliseconds: float) -> float:
    clamped = min(max(milliseconds, _FASTEST), _SLOWEST)
    return 100 - math.log(clamped / _FASTEST) / math.log(_SLOWEST / _FASTEST) * 100


def _bar(hour: Hour, top: float, bottom: float, kind: str) -> Bar:
    # Strings, because a template would localize numbers.
    return Bar(hour.x, f"{top:.1f}", f"{bottom - top:.1f}", kind)


def _table(hours: Sequence[Hour]) -> Panel:
    rows = [
        [
            hour.start,
            f"{hour.tally.succeeded:,}",
            f"{hour.tally.failed:,}",
            hour.tally.rate,
            hour.tally.mean,
            hour.tally.slowest,
        ]
        for hour in reversed(hours)
        if hour.tally.requests
    ]
    headers = ["Hour from", "Succeeded", "Failed", "Success rate", "Mean", "Slowest"]
    return Panel("Requests per hour", headers, rows, empty="No requests in these hours.")
