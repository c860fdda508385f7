"""Primary keys: UUIDv7 (RFC 9562 section 5.7), so ordering by id is ordering by time."""

from uuid import UUID

import uuid_utils.compat


def uuid7() -> UUID:
    new: UUID = uuid_utils.compat.uuid7()
    return new
