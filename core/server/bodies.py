"""Reads the whole body of a request in the event loop, within limits of time, size and memory."""

import asyncio
import io
import tempfile
from collections.abc import Awaitable, Callable
from typing import IO, Any

from core.errors import PayloadTooLarge, StorageUnavailable
from core.server.problems import (
    BodyIncomplete,
    BodyTooSlow,
    Overloaded,
)

Receive = Callable[[], Awaitable[dict[str, Any]]]

# A body may pause for this long, and must then have arrived at this rate: each byte buys time,
# but never more than one pause. A fast start does not earn a long silence.
PAUSE_SECONDS = 10.0
BYTES_PER_SECOND = 64 * 1024

IN_MEMORY = 1024 * 1024  # a longer body goes to a temporary file
SMALL = 64 * 1024  # such a body is never refused for lack of room
MEMORY_PER_PROCESS = 128 * 1024 * 1024
DISK_PER_PROCESS = 2 * 1024 * 1024 * 1024


class Room:
    """What all bodies of a process hold at the moment, in bytes. Used in the event loop only."""

    def __init__(self, *, memory: int = MEMORY_PER_PROCESS, disk: int = DISK_PER_PROCESS) -> None:
        self.memory_left = memory
        self.disk_left = disk


class Body:
    """A request body as it arrives; `stream` is the whole of it, at its start."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._in_memory = self._on_disk = 0
        self.stream: IO[bytes] = io.BytesIO()

    @property
    def length(self) -> int:
        return self._in_memory + self._on_disk

    def write(self, chunk: bytes) -> None:
        """Overloaded when this process has no room left."""
        size, length = len(chunk), self.length + len(chunk)
        is_crowded = size > self._room.memory_left and length > SMALL
        if not self._on_disk and length <= IN_MEMORY and not is_crowded:
            self._in_memory += size
            self._room.memory_left -= size
        else:
            self._move_to_disk(size)
        try:
            self.stream.write(chunk)
        except OSError as error:
            raise StorageUnavailable("There is no room for the request body.") from error

    def _move_to_disk(self, size: int) -> None:
        needed = size + self._in_memory
        if needed > self._room.disk_left:
            raise Overloaded("Too many large requests are being received. Retry later.")
        if isinstance(self.stream, io.BytesIO):
            content = self.stream.getvalue()
            self.stream.close()
            try:
                self.stream = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
                self.stream.write(content)
            except OSError as error:
                raise StorageUnavailable("There is no room for the request body.") from error
        self._room.memory_left += self._in_memory
        self._room.disk_left -= needed
        self._in_memory, self._on_disk = 0, self._on_disk + needed

    def close(self) -> None:
        """Give the room back, also when something still refers to the request."""
        self.stream.close()
        self._room.memory_left += self._in_memory
        self._room.disk_left += self._on_disk
        self._in_memory = self._on_disk = 0


def declared_length(headers: dict[bytes, bytes]) -> int | None:
    """0 for a request without a body, None for one whose length is not known (chunked, HTTP/2)."""
    if b"transfer-encoding" in headers:
        return None
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


async def read_into(body: Body, receive: Receive, *, length: int | None, limit: int) -> None:
    """Read until the body is complete.

    Raises BodyTooSlow, BodyIncomplete, PayloadTooLarge or Overloaded. What was read by then is no
    body: half an address may be someone else's.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PAUSE_SECONDS) as timeout:
            read = 0
            while read != length:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BodyIncomplete("The connection ended before the request body did.")
                chunk = message.get("body", b"")
                read += len(chunk)
                if read > limit:
                    raise PayloadTooLarge(f"The request body is larger than {limit} bytes.")
                body.write(chunk)
                if read == length or not message.get("more_body", False):
                    break
                earned = (timeout.when() or 0) + len(chunk) / BYTES_PER_SECOND
                timeout.reschedule(min(earned, loop.time() + PAUSE_SECONDS))
    except TimeoutError:
        raise BodyTooSlow("The request body did not arrive in time.") from None
    if length is not None and read != length:
        raise BodyIncomplete(f"{length - read} bytes of the request body are missing.")
    body.stream.seek(0)


async def discard(receive: Receive, *, limit: int) -> None:
    """Read what a client still sends, after the response.

    The server closes a connection that has unread input. A client that is still sending would
    then see a reset instead of the response (RFC 9112 section 9.6).
    """
    try:
        async with asyncio.timeout(PAUSE_SECONDS):
            while limit > 0:
                message = await receive()
                limit -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
