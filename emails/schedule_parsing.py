"""Parses `scheduled_at`: ISO 8601, or one of a few forms of plain English."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import timezone as tz
from zoneinfo import ZoneInfo

from django.utils import timezone

from core.times import from_iso

MAX_AHEAD = timedelta(days=30)
# For clock skew of the caller and latency of the request.
GRACE = timedelta(seconds=5)
MAX_LENGTH = 100

# dateparser does the arithmetic. It accepts far more, but it guesses: it reads `tomorrow at 25:00`
# as the current time tomorrow, and `a` as a day in January. It only gets unambiguous text.
_AMOUNT = r"(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|\d{1,6}(?:\.\d{1,2})?)"
_UNIT = r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?)"
_SPAN = rf"{_AMOUNT} {_UNIT}(?:,? (?:and )?{_AMOUNT} {_UNIT}){{0,4}}"
_WEEKDAY = (
    r"(?:mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?"
    r"|sun(?:day)?)"
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_DAY = (
    rf"(?:today|tomorrow|tonight|(?:the )?day after tomorrow|next week"
    rf"|(?:on |this |next )?{_WEEKDAY}"
    rf"|(?:on )?(?:{_MONTH} {_DATE}|{_DATE} (?:of )?{_MONTH})(?:,? 20\d\d)?)"
)
_CLOCK = (
    r"(?:at )?(?:(?:1[0-2]|0?[1-9])(?::[0-5]\d)? ?[ap]m|(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
    r"|noon|midnight)"
)
_SPAN_FROM_NOW = re.compile(rf"in {_SPAN}|{_SPAN} from now", re.ASCII)
_DAY_OR_CLOCK = re.compile(rf"{_DAY}(?:,? {_CLOCK})?|{_CLOCK}(?:,? {_DAY})?", re.ASCII)

# The names of the United States: those of RFC 5322 section 4.3 and Alaska's and Hawaii's. ET, CT,
# MT and PT are whatever the clocks there show, EST is UTC-5 even in summer.
# Of the others only those that mean one thing: not BST or IST. CET, EET and WET observe
# summer time, as in the time zone database.
_REGIONS = {
    "et": "America/New_York",
    "ct": "America/Chicago",
    "mt": "America/Denver",
    "pt": "America/Los_Angeles",
    "akt": "America/Anchorage",
    "cet": "Europe/Brussels",
    "eet": "Europe/Athens",
    "wet": "Europe/Lisbon",
}
_OFFSETS = {
    "est": -5,
    "edt": -4,
    "cst": -6,
    "cdt": -5,
    "mst": -7,
    "mdt": -6,
    "pst": -8,
    "pdt": -7,
    "akst": -9,
    "akdt": -8,
    "hst": -10,
    "cest": 2,
    "eest": 3,
    "west": 1,
    "msk": 3,
    "sgt": 8,
    "hkt": 8,
    "jst": 9,
    "kst": 9,
    "aest": 10,
    "aedt": 11,
    "nzst": 12,
    "nzdt": 13,
}
# After a time of day, or at the end.
_ZONE = re.compile(
    r"(?P<before>.*?)(?: ?(?:utc|gmt|z)?(?P<offset>[+-]\d\d:\d\d)| ?(?P<utc>utc|gmt)"
    rf"| (?P<short>{'|'.join([*_REGIONS, *_OFFSETS])})"
    r"| ?(?P<name>[a-z_]+(?:/[a-z0-9_+-]+){1,2}))(?P<after>,? .+)?",
    re.ASCII | re.IGNORECASE,
)
_LOOKS_ISO = re.compile(r"\d{4}-?(\d\d|W)", re.ASCII)


def parse_scheduled_at(text: str, *, now: datetime | None = None) -> datetime:
    """The time in UTC, at most MAX_AHEAD from now; ValueError says what is wrong.

    English means UTC unless it has a zone: `UTC`, `+02:00`, `Europe/Berlin` or one of the short
    names above. A span is elapsed time, whatever the clocks do meanwhile. A time of day that the
    clocks skip counts from before they do; one that they show twice is the first (RFC 5545
    section 3.3.5), or the second if the first is over.
    """
    now = now or timezone.now()
    at = _parse(text, now)
    if at < now - GRACE:
        raise ValueError("must be in the future")
    if at > now + MAX_AHEAD + GRACE:
        raise ValueError(f"must be at most {MAX_AHEAD.days} days ahead")
    return at


def _parse(text: str, now: datetime) -> datetime:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"must have at most {MAX_LENGTH} characters")
    try:
        return from_iso(text)
    except ValueError:
        if _LOOKS_ISO.match(text):
            raise
    return _parse_english(" ".join(text.split()), now)


def _parse_english(text: str, now: datetime) -> datetime:
    words, zone = _split_zone(text)
    words = words.lower()
    if _SPAN_FROM_NOW.fullmatch(words):
        zone = UTC
    elif not _DAY_OR_CLOCK.fullmatch(words):
        raise _invalid()
    import dateparser  # importing it takes a tenth of a second, so only where it is needed

    parsed: datetime | None = dateparser.parse(
        words,
        languages=["en"],
        settings={
            "RELATIVE_BASE": now.astimezone(zone).replace(tzinfo=None),
            "PREFER_DATES_FROM": "future",
            "PARSERS": ["relative-time", "absolute-time"],
            "RETURN_AS_TIMEZONE_AWARE": False,
        },
    )
    if parsed is None:  # a date that does not exist
        raise _invalid()
    try:
        first, second = (parsed.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:
        raise _invalid() from None
    return second if first < now <= second else first


def _split_zone(text: str) -> tuple[str, tzinfo]:
    """The text without its zone, and the zone."""
    match = _ZONE.fullmatch(text)
    if match is None:
        return text, UTC
    try:
        return match["before"] + (match["after"] or ""), _zone(match)
    except (LookupError, ValueError, OSError):
        raise _invalid() from None


def _zone(match: re.Match[str]) -> tzinfo:
    if match["offset"]:
        return datetime.strptime(match["offset"], "%z").tzinfo or UTC
    if match["name"]:
        return ZoneInfo(match["name"])
    short = (match["short"] or "").lower()
    if short in _OFFSETS:
        return tz(timedelta(hours=_OFFSETS[short]))
    return ZoneInfo(_REGIONS[short]) if short else UTC


def _invalid() -> ValueError:
    return ValueError(
        "must be a time in ISO 8601, such as 2026-05-10T00:00:00Z, or in English, such as"
        " `in 1 hour` or `tomorrow at 9am Europe/Berlin`"
    )
