"""The body of a response, between the thread that writes it and the loop that sends it."""

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator

IN_MEMORY = 1024 * 1024
_CHUNK = 256 * 1024


class Spool:
    """A queue of bytes that moves to a temporary file when it grows.

    A slow client costs disk instead of a thread: the view has run to its end by then, with its
    connection back in the pool.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (closed by `close`)
        self._written = self._read = 0
        self._is_complete = False
        self._error: Exception | None = None
        self._news = asyncio.Event()

    @property
    def length(self) -> int:
        return self._written

    def write(self, chunk: bytes) -> None:
        with self._lock:
            if self._file.closed:
                return  # the client is gone, and the view finishes what it began
            self._file.seek(self._written)
            self._file.write(chunk)
            self._written += len(chunk)
        self._loop.call_soon_threadsafe(self._news.set)

    def complete(self, error: Exception | None = None) -> None:
        """Nothing more will be written; with an error, what was written is not the whole."""
        self._error = error
        self._is_complete = True
        self._loop.call_soon_threadsafe(self._news.set)

    async def is_complete_within(self, seconds: float) -> bool:
        """Raises the error that the writer ended with."""
        try:
            async with asyncio.timeout(seconds):
                while not self._is_complete:
                    await self._news.wait()
                    self._news.clear()
        except TimeoutError:
            return False
        if self._error:
            raise self._error
        return True

    async def chunks(self) -> AsyncIterator[bytes]:
        """What was written and is yet to be written, to the end."""
        while True:
            is_last = self._is_complete  # before reading: nothing is written after it
            while chunk := self._next():
                yield chunk
            if is_last and self._error:
                raise self._error
            if is_last:
                return
            await self._news.wait()
            self._news.clear()

    def _next(self) -> bytes:
        with self._lock:
            self._file.seek(self._read)
            chunk = self._file.read(_CHUNK)
            self._read += len(chunk)
        return chunk

    def close(self) -> None:
        with self._lock:
            self._file.close()
