from dataclasses import replace

from core.queue import worker_loop
from core.queue.queues import Batch, Queue


def test_a_queue_is_drained_until_it_is_empty(hinted):
    batches = [3, 2, 0]
    assert worker_loop.repeat("a.task", lambda: batches.pop(0), seconds=5) == 5
    assert hinted == []


def test_a_task_stops_after_its_slice_and_hints_at_itself(hinted):
    assert worker_loop.repeat("a.task", lambda: 1, seconds=0) == 1
    assert hinted == ["a.task"]


def test_a_stopping_worker_starts_no_further_batch(hinted):
    def batch():
        worker_loop.stopping.set()
        return 1

    try:
        assert worker_loop.repeat("a.task", batch, seconds=5) == 1
        assert worker_loop.repeat("a.task", batch, seconds=5) == 0
    finally:
        worker_loop.stopping.clear()
    assert hinted == []


QUEUE = Queue(name="q", task="a.task", model="core.Nothing", process="tests.nothing")


def test_a_queue_is_drained_in_passes(hinted, monkeypatch):
    batches = [Batch(3, 2, 1), Batch(2, 2), Batch(0)]
    monkeypatch.setattr(Queue, "process_batch", lambda queue, seconds: batches.pop(0))
    assert worker_loop.drain(QUEUE) == 5
    assert hinted == []
    batches[:] = [Batch(1, 1)]
    assert worker_loop.drain(QUEUE, seconds=0) == 1
    assert hinted == ["a.task"]


def test_a_loop_is_called_once(hinted, monkeypatch):
    calls = []
    monkeypatch.setattr(
        Queue, "process_batch", lambda queue, seconds: calls.append(seconds) or Batch(7)
    )
    assert worker_loop.drain(replace(QUEUE, is_loop=True), seconds=5) == 7
    assert len(calls) == 1
    assert hinted == []
