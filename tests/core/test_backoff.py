from datetime import timedelta

from core.queue.backoff import Backoff

SECOND = timedelta(seconds=1)


def test_delays_double_up_to_the_longest():
    backoff = Backoff(first=5 * SECOND, longest=60 * SECOND)
    delays = [backoff.after(attempt) for attempt in range(1, 7)]
    assert [delay / SECOND for delay in delays] == [5, 10, 20, 40, 60, 60]


def test_no_number_of_attempts_overflows():
    backoff = Backoff(first=5 * SECOND, longest=timedelta(hours=1))
    assert backoff.after(10**9) == timedelta(hours=1)
    assert backoff.after(0) == 5 * SECOND


def test_jitter_stays_between_a_second_and_the_delay():
    backoff = Backoff(first=5 * SECOND, longest=60 * SECOND, jitter=True)
    delays = [backoff.after(4) for _ in range(200)]
    assert all(SECOND <= delay <= 40 * SECOND for delay in delays)
    assert len(set(delays)) > 100
