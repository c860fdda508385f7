import pytest

from core.queue import wake, worker_loop


@pytest.fixture
def told(monkeypatch):
    """The tasks that were hinted at."""
    hints = []
    monkeypatch.setattr(wake, "hint", hints.append)
    return hints


def test_a_queue_is_worked_off_until_it_is_empty(told):
    batches = [3, 2, 0]
    assert worker_loop.drain("a.task", lambda: batches.pop(0)) == 5
    assert told == []


def test_a_task_gives_way_and_asks_for_another_slice(told):
    assert worker_loop.drain("a.task", lambda: 1, slice_seconds=0) == 1
    assert told == ["a.task"]


def test_a_worker_that_is_told_to_stop_begins_no_further_batch(told):
    def batch():
        worker_loop.stopping.set()
        return 1

    try:
        assert worker_loop.drain("a.task", batch) == 1
        assert worker_loop.drain("a.task", batch) == 0
    finally:
        worker_loop.stopping.clear()
    assert told == []
