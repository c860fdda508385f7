"""Primary keys are UUIDv7 (RFC 9562 section 5.7): ordering by id is ordering by time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils.compat

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION = 7 << 76
_VARIANT = 2 << 62


def uuid7() -> UUID:
    new: UUID = uuid_utils.compat.uuid7()
    return new


def uuid7_floor(moment: datetime) -> UUID:
    """The smallest UUIDv7 of that millisecond. Times before 1970 count as 1970-01-01."""
    milliseconds = max(0, (moment - _EPOCH) // timedelta(milliseconds=1))
    return UUID(int=milliseconds << 80 | _VERSION | _VARIANT)


def time_of(key: UUID) -> datetime:
    """The creation time in a UUIDv7, with millisecond precision."""
    return _EPOCH + timedelta(milliseconds=key.int >> 80)
