"""A customer's server: raw HTTP on loopback, so that it can misbehave like real ones."""

import asyncio
import threading
from dataclasses import dataclass


@dataclass
class Received:
    path: str
    headers: dict
    """Names as received; `header` ignores case."""
    body: bytes

    def header(self, name):
        return {key.lower(): value for key, value in self.headers.items()}[name.lower()]


def response(status=200, body=b"", **headers):
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def never_respond(request):
    await asyncio.sleep(30)


class Sink:
    """Answers each path with its entry in `answers`, or 200.

    An answer is bytes, None to close the connection without a response, or a coroutine function
    that is called with the request and returns one of those. `hold` waits until `release()`.
    """

    def __init__(self, *, tls=None, **answers):
        self.answers = {f"/{name}": answer for name, answer in answers.items()}
        self.received, self.most_at_once = [], {}
        self._at_once, self._tasks = {}, set()
        self._tls, self._changed, self._released = tls, threading.Condition(), asyncio.Event()

    def __enter__(self):
        self.loop, started = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,))
        self._thread.start()
        assert started.wait(5)
        return self

    def __exit__(self, *exc):
        self.loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(5)
        self.loop.close()

    def url(self, path="hook", host="127.0.0.1"):
        return f"http{'s' if self._tls else ''}://{host}:{self.port}/{path}"

    def paths(self):
        return [request.path.removeprefix("/") for request in self.received]

    def wait_for(self, count, timeout=5, path=None):
        """Block until that many requests have arrived."""

        def enough():
            return sum(path in (None, name) for name in self.paths()) >= count

        with self._changed:
            assert self._changed.wait_for(enough, timeout), f"{self.paths()} after {timeout} s"

    async def hold(self, request):
        await self._released.wait()
        return response()

    def release(self):
        self.loop.call_soon_threadsafe(self._released.set)

    def _run(self, started):
        self.loop.run_until_complete(self._serve(started))

    async def _serve(self, started):
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stopped.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            while answer := await self._answer(await _read(reader)):
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, request):
        path = request.path
        self._record(request)
        self._at_once[path] = self._at_once.get(path, 0) + 1
        self.most_at_once[path] = max(self.most_at_once.get(path, 0), self._at_once[path])
        try:
            answer = self.answers.get(path, response())
            return await answer(request) if callable(answer) else answer
        finally:
            self._at_once[path] -= 1

    def _record(self, request):
        with self._changed:
            self.received.append(request)
            self._changed.notify_all()


async def _read(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers.get("Content-Length", 0)))
    return Received(first.split()[1], headers, body)
