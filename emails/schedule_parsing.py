"""The text of `scheduled_at` as a moment: ISO 8601, or one of a few forms of plain English."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from django.utils import timezone

from core.times import from_iso

MAX_AHEAD = timedelta(days=30)
# How far the caller's clock may be off, or a request on its way.
GRACE = timedelta(seconds=5)
MAX_LENGTH = 100

# dateparser does the arithmetic and would take far more, but it guesses: `tomorrow at 25:00` is
# the same time tomorrow to it, and `a` is in January. It only gets what is unmistakable.
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
_ENGLISH = re.compile(
    rf"in {_SPAN}|{_SPAN} from now|{_DAY}(?:,? {_CLOCK})?|{_CLOCK}(?:,? {_DAY})?", re.ASCII
)
_ZONE = re.compile(
    r"(?P<rest>.*?) ?(?:(?:utc|gmt|z)?(?P<offset>[+-]\d\d:\d\d)|(?P<utc>utc|gmt)"
    r"|(?P<name>[a-z_]+(?:/[a-z0-9_+-]+){1,2}))",
    re.ASCII | re.IGNORECASE,
)
_LOOKS_ISO = re.compile(r"\d{4}-?(\d\d|W)", re.ASCII)


def parse_scheduled_at(text: str, *, now: datetime | None = None) -> datetime:
    """When that is, in UTC, and at most MAX_AHEAD from now; ValueError says what is wrong.

    In English it is UTC unless a zone follows: `UTC`, `+02:00` or `Europe/Berlin`. Short names
    such as CST mean several zones and are refused.
    """
    now = now or timezone.now()
    found = _read(text, now)
    if found < now - GRACE:
        raise ValueError("must be in the future")
    if found > now + MAX_AHEAD + GRACE:
        raise ValueError(f"must be at most {MAX_AHEAD.days} days ahead")
    return found


def _read(text: str, now: datetime) -> datetime:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"must have at most {MAX_LENGTH} characters")
    try:
        return from_iso(text)
    except ValueError:
        if _LOOKS_ISO.match(text):
            raise
    return _in_english(" ".join(text.split()), now)


def _in_english(text: str, now: datetime) -> datetime:
    words, zone = _zoned(text)
    words = words.lower()
    if not _ENGLISH.fullmatch(words):
        raise _unreadable()
    import dateparser  # takes a tenth of a second, which only those wait for who use it

    found: datetime | None = dateparser.parse(
        words,
        languages=["en"],
        settings={
            "RELATIVE_BASE": now.astimezone(zone).replace(tzinfo=None),
            "PREFER_DATES_FROM": "future",
            "PARSERS": ["relative-time", "absolute-time"],
            "RETURN_AS_TIMEZONE_AWARE": False,
        },
    )
    if found is None:  # a date that no calendar has
        raise _unreadable()
    try:
        return found.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        raise _unreadable() from None


def _zoned(text: str) -> tuple[str, tzinfo]:
    """The text without the zone at its end, and the zone."""
    named = _ZONE.fullmatch(text)
    if named is None or named["utc"]:
        return (named["rest"] if named else text), UTC
    try:
        if named["offset"]:
            return named["rest"], datetime.strptime(named["offset"], "%z").tzinfo or UTC
        return named["rest"], ZoneInfo(named["name"])
    except (LookupError, ValueError, OSError):
        raise _unreadable() from None


def _unreadable() -> ValueError:
    return ValueError(
        "must be a time in ISO 8601, like 2026-05-10T00:00:00Z, or in English, like"
        " `in 1 hour` or `tomorrow at 9am Europe/Berlin`"
    )
