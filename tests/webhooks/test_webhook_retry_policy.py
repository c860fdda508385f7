"""5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, each +-20 %."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from webhooks.dispatch import retry_policy
from webhooks.dispatch.retry_policy import next_delay

PLANNED = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]  # seconds


@pytest.fixture
def jitter(monkeypatch):
    """Set where between -20 % and +20 % the delay falls; the planned delay by default."""

    def fix(share):
        monkeypatch.setattr(
            retry_policy.random, "uniform", lambda low, high: low + (high - low) * share
        )

    fix(0.5)
    return fix


@pytest.mark.parametrize(("attempts", "seconds"), list(enumerate(PLANNED, 1)))
def test_each_attempt_has_its_own_delay(attempts, seconds, jitter):
    for share, expected in [(0, 0.8), (0.5, 1), (1, 1.2)]:
        jitter(share)
        assert next_delay(attempts, 500).total_seconds() == pytest.approx(seconds * expected)


def test_delays_are_spread_over_the_whole_jitter_range():
    delays = [next_delay(2, None).total_seconds() for _ in range(500)]
    assert 240 <= min(delays) < 250
    assert 350 < max(delays) <= 360


@pytest.mark.parametrize("attempts", [10, 11, 100])
def test_there_is_no_retry_after_the_tenth_attempt(attempts):
    assert next_delay(attempts, 500) is None
    assert next_delay(attempts, 429, "5") is None


def test_there_is_no_retry_after_410():
    assert next_delay(1, 410) is None


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("0", 300),
        ("299", 300),
        ("301", 301),
        ("450", 450),
        ("600", 600),
        ("601", 600),
        ("99999999999999999999999", 600),
    ],
)
def test_retry_after_is_bounded_by_one_and_two_times_the_planned_delay(
    status, retry_after, seconds, jitter
):
    assert next_delay(2, status, retry_after) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("ahead", "seconds"), [(-60, 300), (450, 450), (86_400, 600)])
def test_retry_after_may_be_a_date(ahead, seconds, jitter):
    date = datetime.now(UTC) + timedelta(seconds=ahead)
    got = next_delay(2, 503, format_datetime(date, usegmt=True))
    assert got.total_seconds() == pytest.approx(seconds, abs=2)


@pytest.mark.parametrize("status", [None, 200, 301, 400, 500, 502, 504])
def test_retry_after_is_ignored_for_other_statuses(status, jitter):
    assert next_delay(2, status, "450") == timedelta(seconds=300)


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "soon",
        "-450",
        "450.5",
        "4e2",
        " 450",
        "450, 500",
        "\u0664\u0665\u0660",  # digits, but not ASCII
        "\u00b2",
        "Wed, 21 Oct 2099 07:28:00",
        "Wed, 21 Oct 2099 07:28:00 -0000",
        "Wed, 99 Foo 2099 99:99:99 GMT",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "9" * 5000 + " GMT",
        "\x00",
    ],
)
def test_an_invalid_retry_after_is_ignored(garbage, jitter):
    expected = 600 if garbage.startswith("Fri, 31 Dec 9999") else 300
    assert next_delay(2, 429, garbage) == timedelta(seconds=expected)
