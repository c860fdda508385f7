"""Admission: each kind of request has its own threads and its own short queue."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from core.server.bodies import Receive
from core.server.problems import ClientGone, Overloaded

# A client waits this long at most until its request starts. Newcomers are refused earlier: when
# the first in the queue has waited for SHED_SECONDS, they would wait as long at least.
QUEUE_SECONDS = 2.0
SHED_SECONDS = 1.0
MAX_QUEUED = 1000
# Most requests wait for a few milliseconds: only then it pays to watch the connection.
_WATCH_AFTER = 0.1

_BUSY = "More requests are waiting than can be served. Retry later."


class Result(Protocol):
    """The result of a call; `rest` runs in the same thread after it was handed over."""

    @property
    def rest(self) -> Callable[[], None] | None: ...


R = TypeVar("R", bound=Result)


class Threads:
    """Daemon threads for blocking calls, started when all others are busy. For the event loop.

    Lanes bound how many run. (A ThreadPoolExecutor costs twice as much per call, its threads
    delay the exit of the process, and a call could not hand over its result before it ends.)
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Any] = SimpleQueue()
        self._started = self._busy = 0

    async def run(self, call: Callable[[], R], *, finished: Callable[[], None]) -> R:
        """The result of the call; `finished` is called when its thread is free again."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._busy += 1
        if self._busy > self._started:
            self._started += 1
            threading.Thread(target=self._work, args=(loop,), daemon=True).start()
        self._calls.put((call, future, finished))
        return await future

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            call, future, finished = self._calls.get()
            result = error = rest = None
            try:
                result = call()
                rest = result.rest
            except BaseException as caught:
                error = caught
            if rest is None:
                loop.call_soon_threadsafe(self._finish, future, result, error, finished)
            else:
                loop.call_soon_threadsafe(_settle, future, result, error)
                with suppress(Exception):
                    rest()
                loop.call_soon_threadsafe(self._finish, future, None, None, finished)
            # An idle thread must not keep the last request alive.
            del call, future, finished, result, error, rest

    def _finish(
        self,
        future: "asyncio.Future[Any]",
        result: Any,
        error: BaseException | None,
        finished: Callable[[], None],
    ) -> None:
        self._busy -= 1
        finished()
        _settle(future, result, error)


def _settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class Place:
    """A request's place in its lane; leaving it twice is leaving it once."""

    __slots__ = ("_lane",)

    def __init__(self, lane: "Lane") -> None:
        self._lane: Lane | None = lane

    def leave(self) -> None:
        if self._lane:
            self._lane.pass_on()
            self._lane = None


class Lane:
    """At most `size` requests of one kind run at a time; the others queue, first come first served.

    `max_body` is the largest body that such a request may have. Used in the event loop only.
    """

    def __init__(self, name: str, *, size: int, max_body: int) -> None:
        self.name = name
        self.max_body = max_body
        self._size = size
        self._running = 0
        self._queue: deque[tuple[float, asyncio.Future[None]]] = deque()

    def refuse_when_full(self) -> None:
        """Overloaded when a request that comes now would wait too long."""
        if not self._queue:
            return
        waited = asyncio.get_running_loop().time() - self._queue[0][0]
        if waited > SHED_SECONDS or len(self._queue) >= MAX_QUEUED:
            raise Overloaded(_BUSY)

    async def enter(self, receive: Receive) -> Place:
        """Wait for a place. Raises Overloaded, or ClientGone when the client gave up meanwhile.

        The body must have been read: from then on `receive` only reports the disconnect.
        """
        if self._running < self._size:
            self._running += 1
            return Place(self)
        self.refuse_when_full()
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        entry = (loop.time(), turn)
        self._queue.append(entry)
        is_gone = False
        try:
            is_gone = await _wait(turn, receive)
        finally:
            if not turn.done():
                self._queue.remove(entry)
            elif is_gone:
                self.pass_on()
        if is_gone:
            raise ClientGone
        if not turn.done():
            raise Overloaded(_BUSY)
        return Place(self)

    def pass_on(self) -> None:
        """A place is free: it belongs to the first in the queue."""
        if self._queue:
            _, turn = self._queue.popleft()
            turn.set_result(None)
        else:
            self._running -= 1


async def _wait(turn: "asyncio.Future[None]", receive: Receive) -> bool:
    """Wait for the turn, the disconnect or the time limit; whether the client is gone."""
    loop = asyncio.get_running_loop()
    wakened: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(_WATCH_AFTER, _wake, wakened)
    turn.add_done_callback(lambda _: _wake(wakened))
    try:
        await wakened
    finally:
        timer.cancel()
    if turn.done():
        return False
    watch = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait(
            {turn, watch},
            timeout=QUEUE_SECONDS - _WATCH_AFTER,
            return_when=asyncio.FIRST_COMPLETED,
        )
        return watch.done()
    finally:
        watch.cancel()


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
