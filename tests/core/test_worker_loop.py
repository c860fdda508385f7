import pytest

from core.queue import wake, worker_loop


@pytest.fixture
def hinted(monkeypatch):
    """The names of tasks that were hinted at."""
    hints = []
    monkeypatch.setattr(wake, "hint", hints.append)
    return hints


def test_a_queue_is_drained_until_it_is_empty(hinted):
    batches = [3, 2, 0]
    assert worker_loop.drain("a.task", lambda: batches.pop(0)) == 5
    assert hinted == []


def test_a_task_stops_after_its_slice_and_hints_at_itself(hinted):
    assert worker_loop.drain("a.task", lambda: 1, slice_seconds=0) == 1
    assert hinted == ["a.task"]


def test_a_stopping_worker_starts_no_further_batch(hinted):
    def batch():
        worker_loop.stopping.set()
        return 1

    try:
        assert worker_loop.drain("a.task", batch) == 1
        assert worker_loop.drain("a.task", batch) == 0
    finally:
        worker_loop.stopping.clear()
    assert hinted == []
