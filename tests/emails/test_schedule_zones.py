"""Zones of `scheduled_at`, and what it means when the clocks change."""

from datetime import UTC, datetime

import pytest

from core.times import from_iso
from emails.schedule_parsing import parse_scheduled_at

SUMMER = "2026-07-08T15:00:00Z"  # a Wednesday
WINTER = "2026-12-09T15:00:00Z"  # a Wednesday


def parse(text, now):
    return parse_scheduled_at(text, now=from_iso(now))


@pytest.mark.parametrize(
    ("zone", "summer", "winter"),
    [
        ("ET", -4, -5),
        ("et", -4, -5),
        ("CT", -5, -6),
        ("MT", -6, -7),
        ("PT", -7, -8),
        ("AKT", -8, -9),
        # RFC 5322 section 4.3: these don't change with the season.
        ("EST", -5, -5),
        ("EDT", -4, -4),
        ("CST", -6, -6),
        ("CDT", -5, -5),
        ("MST", -7, -7),
        ("MDT", -6, -6),
        ("PST", -8, -8),
        ("PDT", -7, -7),
        ("AKST", -9, -9),
        ("AKDT", -8, -8),
        ("HST", -10, -10),
        ("CET", 2, 1),
        ("CEST", 2, 2),
        ("EET", 3, 2),
        ("EEST", 3, 3),
        ("WET", 1, 0),
        ("WEST", 1, 1),
        ("MSK", 3, 3),
        ("SGT", 8, 8),
        ("HKT", 8, 8),
        ("JST", 9, 9),
        ("KST", 9, 9),
        ("AEST", 10, 10),
        ("AEDT", 11, 11),
        ("NZST", 12, 12),
        ("NZDT", 13, 13),
        ("UTC", 0, 0),
        ("GMT", 0, 0),
        ("US/Eastern", -4, -5),
        ("Europe/Berlin", 2, 1),
    ],
)
def test_a_zone_by_its_name(zone, summer, winter):
    for now, offset in ((SUMMER, summer), (WINTER, winter)):
        at = parse(f"Friday at 3pm {zone}", now)
        hours = at - datetime(at.year, at.month, {7: 10, 12: 11}[at.month], 15, tzinfo=UTC)
        assert hours.total_seconds() / 3600 == -offset


@pytest.mark.parametrize(
    "text",
    [
        "Friday at 3pm ET",
        "friday 3pm et",
        "on Friday, 15:00 ET",
        "Friday at 3 PM  ET",
        "3pm ET on friday",
        "3pm ET, friday",
        "at 15:00 ET friday",
        "july 10 at 3pm ET",
        "3pm ET july 10th, 2026",
        "Friday at 3pm EDT",
        "Friday at 3pm -04:00",
        "3pm UTC-04:00 on friday",
        "3pm America/New_York on friday",
    ],
)
def test_the_zone_follows_the_time_or_ends_the_text(text):
    assert parse(text, SUMMER) == from_iso("2026-07-10T19:00:00Z")


@pytest.mark.parametrize(
    "text",
    [
        "Friday at 3pm IST",  # of India, Israel or Ireland
        "Friday at 3pm BST",
        "Friday at 3pm XT",
        "Friday at 3pmET",
        "Friday at 3pm ET PT",
        "Friday at 3pm ET ET",
        "ET",
        "ET friday",
        "Friday at ET",
        "3pm ET on friday PT",
    ],
)
def test_what_could_mean_two_times_is_refused(text):
    with pytest.raises(ValueError, match="ISO 8601"):
        parse(text, SUMMER)


def test_a_month_is_no_zone():
    assert parse("3 oct", "2026-09-20T00:00:00Z") == from_iso("2026-10-03T00:00:00Z")
    assert parse("noon, 3 oct CT", "2026-09-20T00:00:00Z") == from_iso("2026-10-03T17:00:00Z")


def test_the_day_is_that_of_the_zone():
    late = "2026-07-11T02:00:00Z"  # still Friday in New York
    assert parse("tomorrow at 9am ET", late) == from_iso("2026-07-11T13:00:00Z")
    assert parse("today at 11pm ET", late) == from_iso("2026-07-11T03:00:00Z")


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        ("in 2 hours Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T02:30:00Z"),
        ("2 hours from now Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T02:30:00Z"),
        ("in 2 hours CET", "2026-03-29T00:30:00Z", "2026-03-29T02:30:00Z"),
        ("in 90 minutes ET", "2026-03-08T06:45:00Z", "2026-03-08T08:15:00Z"),
        ("in 2 hours Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T01:30:00Z"),
        ("in 30 seconds PT", "2026-11-01T08:59:45Z", "2026-11-01T09:00:15Z"),
        ("in 1 day Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
        ("in 1 day and 1 hour Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T13:00:00Z"),
        ("in 1 week Europe/Berlin", "2026-10-20T12:00:00Z", "2026-10-27T12:00:00Z"),
        ("in 2 hours", "2026-03-29T00:30:00Z", "2026-03-29T02:30:00Z"),
        ("in 2 hours +05:30", "2026-03-29T00:30:00Z", "2026-03-29T02:30:00Z"),
    ],
)
def test_a_span_is_elapsed_time(text, now, expected):
    assert parse(text, now) == from_iso(expected)


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        # 02:00 to 03:00 doesn't exist: counted from before, it is shown as 03:30.
        ("tomorrow at 2:30am Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
        ("2:30am ET", "2026-03-08T05:00:00Z", "2026-03-08T07:30:00Z"),
        # 02:00 to 03:00 comes twice: the first.
        ("tomorrow at 2:30am Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("today at 2:30am Europe/Berlin", "2026-10-25T00:10:00Z", "2026-10-25T00:30:00Z"),
        # The first is over.
        ("today at 2:30am Europe/Berlin", "2026-10-25T00:45:00Z", "2026-10-25T01:30:00Z"),
        ("2:30am Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"),
        # On either side nothing is special.
        ("tomorrow at 9am Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T07:00:00Z"),
        ("tomorrow at 9am Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T08:00:00Z"),
        ("tomorrow Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T11:00:00Z"),
    ],
)
def test_times_of_day_when_the_clocks_change(text, now, expected):
    assert parse(text, now) == from_iso(expected)


@pytest.mark.django_db
def test_the_api_takes_the_clients_own_example(api, domain, message):
    answer = api.post("/emails", message | {"scheduled_at": "Friday at 3pm ET"})
    assert answer.status_code == 200
    shown = api.get(f"/emails/{answer.json()['id']}").json()
    assert from_iso(shown["scheduled_at"]).hour in (19, 20)
