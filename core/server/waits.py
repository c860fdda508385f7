"""Waits for others inside a request: each kind has a budget, and none holds a place in a lane.

A customer's endpoint, a file server or AWS may never answer. Without a budget a few such requests
would hold every thread, and nobody else's request would start.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection

from core.errors import DomainError

_request = threading.local()


class Waits:
    """How many requests of a process wait for one kind of thing, in all and per workspace.

    Others wait for their turn for `patience` seconds; then `refusal` is raised. Outside of a
    request, as in a worker, nothing is limited.
    """

    def __init__(
        self,
        refusal: Callable[[], Exception],
        *,
        in_all: int,
        per_workspace: int | None = None,
        patience: float = 0.0,
    ) -> None:
        self._refusal = refusal
        self._in_all = in_all
        self._per_workspace = per_workspace or in_all
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: Counter[UUID | None] = Counter()
        self._patient = 0

    @contextmanager
    def wait(self, workspace_id: UUID | None = None) -> Iterator[None]:
        """Gives the place in the lane to the next request before it waits for anything.

        The connection goes back to the pool, unless a transaction is open.
        """
        if not hasattr(_request, "leave"):
            yield
            return
        _give_up_place()
        self._take_turn(workspace_id)
        try:
            yield
        finally:
            with self._changed:
                self._waiting[workspace_id] -= 1
                if not self._waiting[workspace_id]:
                    del self._waiting[workspace_id]
                self._changed.notify_all()

    def _take_turn(self, workspace_id: UUID | None) -> None:
        def is_free() -> bool:
            return (
                self._waiting.total() < self._in_all
                and self._waiting[workspace_id] < self._per_workspace
            )

        with self._changed:
            # Those who wait for their turn hold threads, and in a transaction also connections, of
            # which the pool must keep some for everybody else.
            most = self._in_all // 2 if connection.in_atomic_block else 4 * self._in_all
            patience = self._patience if self._patient < most else 0.0
            self._patient += 1
            try:
                if not self._changed.wait_for(is_free, timeout=patience):
                    raise self._refusal()
            finally:
                self._patient -= 1
            self._waiting[workspace_id] += 1


class TooManyWaits(DomainError):
    status = 429
    headers = {"retry-after": "2"}

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@contextmanager
def request_in_lane(leave: Callable[[], None]) -> Iterator[None]:
    """This thread runs a request; `leave` is called when it starts to wait for others."""
    _request.leave = leave
    try:
        yield
    finally:
        del _request.leave


def _give_up_place() -> None:
    _request.leave()
    if not connection.in_atomic_block:
        connection.close()
