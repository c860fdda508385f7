"""A webhook endpoint in its own process: `python -m bench.sink <status> <milliseconds>`.

Prints its port; responds to each request with that status after that delay. With status 0 it
accepts requests and never responds.
"""

import asyncio
import signal
import sys
from http import HTTPStatus
from typing import cast

import uvloop


class _Requests(asyncio.Protocol):
    def __init__(self, answer: bytes, delay: float) -> None:
        self._answer = answer
        self._delay = delay
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + size:
            return
        self._buffer = self._buffer[end + 4 + size :]
        self._reply()

    def _reply(self) -> None:
        if not self._answer:
            return
        if self._delay:
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay, self._transport.write, self._answer)
        else:
            self._transport.write(self._answer)


def _answer(status: int) -> bytes:
    if not status:
        return b""
    length = b"" if status == HTTPStatus.NO_CONTENT else b"Content-Length: 0\r\n"
    reason = HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, reason, length)


async def _serve(status: int, delay: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    answer = _answer(status)
    server = await loop.create_server(
        lambda: _Requests(answer, delay), "127.0.0.1", 0, backlog=2048
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1]), int(sys.argv[2]) / 1000))
