"""Waits for others inside a request: each kind has a budget, and none holds a place in a lane.

A customer's endpoint, a file server or a DNS server may never answer. Without a budget a few such
requests would hold every thread, and nobody else's request would start.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection

from core.errors import DomainError

_place = threading.local()


class TooManyWaits(DomainError):
    status = 429
    headers = {"retry-after": "2"}

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Budget:
    """How many threads of a process may wait for one kind of thing, in all and per workspace.

    `name` and `message` are those of the 429 that all others get.
    """

    def __init__(self, name: str, message: str, *, in_all: int, per_workspace: int) -> None:
        self._name = name
        self._message = message
        self._in_all = in_all
        self._per_workspace = per_workspace
        self._lock = threading.Lock()
        self._waiting: Counter[UUID | None] = Counter()

    @contextmanager
    def wait(self, workspace_id: UUID | None = None) -> Iterator[None]:
        """Raises TooManyWaits instead of waiting for its turn.

        Gives the thread's place in its lane to the next request, and its connection back to the
        pool, unless a transaction is open.
        """
        with self._lock:
            if (
                self._waiting.total() >= self._in_all
                or self._waiting[workspace_id] >= self._per_workspace
            ):
                raise TooManyWaits(self._name, self._message)
            self._waiting[workspace_id] += 1
        try:
            _give_up_place()
            yield
        finally:
            with self._lock:
                self._waiting[workspace_id] -= 1
                if not self._waiting[workspace_id]:
                    del self._waiting[workspace_id]


@contextmanager
def in_lane(leave: Callable[[], None]) -> Iterator[None]:
    """The thread has a place in a lane, until the block ends or something calls `leave`."""
    _place.leave = leave
    try:
        yield
    finally:
        _place.leave = None


def _give_up_place() -> None:
    if leave := getattr(_place, "leave", None):
        _place.leave = None
        leave()
    if not connection.in_atomic_block:
        connection.close()
