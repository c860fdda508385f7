"""Single fields of SES events, in every spelling."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from core.db.json_values import as_text
from emails.content.addresses import parse

# A fence against nonsense such as the year 9999: SES opened in January 2011.
_EARLIEST = datetime(2011, 1, 1, tzinfo=UTC)
_FURTHEST = timedelta(days=366)

_BEFORE_ZONE = re.compile(r"\s+(?=(?:[+-][\d:]+|Z)$)")


def parse_time(value: Any) -> datetime | None:
    """Parse ISO 8601 with a zone, and `2018-10-08T14:05:45 +0000` as in identity notifications.

    None for anything else, and for times before SES existed or more than a year ahead.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(_BEFORE_ZONE.sub("", value.strip().upper()))
    except ValueError:
        return None
    if moment.tzinfo is None or not _EARLIEST <= moment <= timezone.now() + _FURTHEST:
        return None
    return moment


def canonical(value: Any) -> str:
    """The key by which enumerations are compared: `Not-Spam`, `NOT_SPAM` and `not-spam` are one."""
    if isinstance(value, list | dict):
        return ""
    return re.sub(r"[^a-z0-9]", "", as_text(value).lower())


def parse_address(value: Any) -> str:
    """The bare address of `Name <a@b>`, normalised like our recipients; "" if it is none."""
    if not isinstance(value, str):
        return ""
    try:
        return parse(value.strip()).address
    except ValueError:
        return ""
