"""UUIDv7 ids, whose order is by time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from core.db.ids import uuid7, uuid7_floor

MILLISECOND = timedelta(milliseconds=1)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30)).map(
    lambda naive: naive.replace(tzinfo=UTC)
)


def test_an_id_is_between_the_floors_around_its_creation():
    for _ in range(100):
        before = datetime.now(UTC)
        created = uuid7()
        after = datetime.now(UTC)
        assert uuid7_floor(before) <= created < uuid7_floor(after + MILLISECOND)


@given(MOMENTS, st.integers(0, (1 << 12) - 1), st.integers(0, (1 << 62) - 1))
def test_a_floor_is_the_smallest_id_of_its_millisecond(moment, high, low):
    floor = uuid7_floor(moment)
    assert (floor.version, floor.variant) == (7, uuid7().variant)
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND
    assert floor.int >> 80 == milliseconds
    assert uuid7_floor(moment.replace(microsecond=moment.microsecond // 1000 * 1000)) == floor
    same_millisecond = UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)
    assert floor <= same_millisecond < uuid7_floor(moment + MILLISECOND)


def test_times_before_1970_have_the_floor_of_1970():
    first = uuid7_floor(datetime(1970, 1, 1, tzinfo=UTC))
    assert uuid7_floor(datetime(1969, 12, 31, tzinfo=UTC)) == first
    assert uuid7_floor(datetime.min.replace(tzinfo=UTC)) == first
