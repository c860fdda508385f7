"""Formatting and parsing of API timestamps."""

from datetime import UTC, datetime

import pytest

from core.times import from_iso, iso

NOON = datetime(2026, 5, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-10T12:00:00Z",
        "2026-05-10T12:00:00.000Z",
        "2026-05-10T14:00:00+02:00",
        "2026-05-10T06:30:00-05:30",
        "2026-05-10 12:00Z",
        "20260510T120000Z",
    ],
)
def test_a_time_is_parsed_in_any_zone(text):
    assert from_iso(text) == NOON
    assert from_iso(text).tzinfo is UTC


def test_formatted_times_parse_back():
    assert from_iso(iso(NOON)) == NOON


@pytest.mark.parametrize("text", ["2026-05-10T12:00:00", "2026-05-10"])
def test_a_time_without_a_zone_is_rejected(text):
    with pytest.raises(ValueError, match="must have a time zone"):
        from_iso(text)


@pytest.mark.parametrize(
    "text",
    ["", "noon", "1778414400", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "\x00"],
)
def test_an_invalid_time_is_rejected(text):
    with pytest.raises(ValueError, match="must be an ISO 8601 time"):
        from_iso(text)
