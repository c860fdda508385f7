"""Together first, then one by one."""

import pytest

from core.queue.batches import run_batch


def test_a_good_batch_is_one_call():
    calls = []
    assert run_batch([1, 2, 3], lambda items: calls.append(list(items)), pytest.fail) == 0
    assert calls == [[1, 2, 3]]


def test_nothing_is_no_call():
    assert run_batch([], pytest.fail, pytest.fail) == 0


def test_a_bad_item_is_found_alone_and_the_others_are_done():
    done, failed, broken = [], [], []

    def action(items):
        if 2 in items:
            raise ValueError("two")
        done.extend(items)

    count = run_batch(
        [1, 2, 3],
        action,
        lambda item, error: failed.append((item, str(error))),
        on_batch_error=broken.append,
    )
    assert (count, done, failed) == (1, [1, 3], [(2, "two")])
    assert [str(error) for error in broken] == ["two"]


def test_an_error_that_is_no_fault_of_the_item_ends_the_batch():
    """Such as an unavailable database: the rows are due again after their lease."""
    tried = []

    def action(items):
        tried.append(list(items))
        raise ConnectionError

    def on_error(item, error):
        raise error

    with pytest.raises(ConnectionError):
        run_batch([1, 2], action, on_error)
    assert tried == [[1, 2], [1]]
