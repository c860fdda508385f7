"""A batch together first, and one by one when that fails: a bad item must not stop the others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def run_batch(
    items: Sequence[T],
    action: Callable[[Sequence[T]], None],
    on_error: Callable[[T, Exception], None],
    *,
    on_batch_error: Callable[[Exception], None] = lambda error: None,
) -> int:
    """Run `action` on all items; when it raises, on each alone; how many failed alone.

    `on_error` handles an item that fails alone; what it raises ends the batch. `action` must leave
    nothing behind when it raises, as a transaction does.
    """
    if not items:
        return 0
    try:
        action(items)
        return 0
    except Exception as error:
        on_batch_error(error)
    failed = 0
    for item in items:
        try:
            action([item])
        except Exception as error:
            failed += 1
            on_error(item, error)
    return failed
