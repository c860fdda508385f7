"""Reads, admits, runs and answers one request: the ASGI application itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from core import metrics
from core.api.dialects import Problem, dialect_of
from core.errors import DomainError, PayloadTooLarge
from core.middleware import accepted_request_id, without_extra_slashes
from core.server.bodies import Body, Receive, Room, declared_length, discard, read_into
from core.server.lanes import Lane, Threads
from core.server.problems import Broken, ClientGone
from core.server.spool import Spool
from core.server.views import View, ViewResult
from core.server.wsgi import Application, Headers, Scope

logger = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]
Lanes = Callable[[str, str], Lane]

HEALTH = "/healthz"
# A streamed response is held back for so long: most are complete by then, and get the length that
# tells a complete file from half of one. A longer silence would look like a dead server to proxies.
HOLD_BACK_SECONDS = 10.0
# A client that reads nothing for so long has given up.
STALLED_SECONDS = 60.0
# Of refused requests, how many bodies are read to their end at a time, so that clients see why.
_MAX_DISCARDS = 64

_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class Front:
    """`lanes` finds the lane of a method and a path; `health` is the JSON of GET /healthz."""

    def __init__(self, application: Application, *, lanes: Lanes, health: dict[str, str]) -> None:
        self._application = application
        self._lane_of = lanes
        self._health = orjson.dumps(health)
        self._room = Room()
        self._threads = Threads()
        self._discarding = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path, method = without_extra_slashes(scope["path"]), scope["method"]
        if path == HEALTH and method in ("GET", "HEAD"):
            metrics.HTTP_REQUESTS.labels(method, "healthz", 200).inc()
            await _respond(send, 200, [_JSON, _request_id(scope)], self._health)
            return
        lane = self._lane_of(method, path)
        try:
            result = await self._run(scope, receive, lane)
            is_whole = result.spool is None or await result.spool.is_complete_within(
                HOLD_BACK_SECONDS
            )
        except ClientGone:
            metrics.HTTP_REFUSED.labels(lane.name, "client_gone").inc()
        except DomainError as error:
            metrics.HTTP_REFUSED.labels(lane.name, error.name).inc()
            await self._refuse(scope, receive, send, error)
        except Exception:
            logger.exception("A request failed outside of its view")
            await self._refuse(scope, receive, send, Broken("Something broke here."))
        else:
            if result.spool is None:
                await _respond(send, result.status, result.headers, result.content)
            else:
                await _stream(send, result, result.spool, is_whole=is_whole)

    async def _run(self, scope: Scope, receive: Receive, lane: Lane) -> ViewResult:
        """The response of Django; DomainError or ClientGone when the request did not get there."""
        lane.refuse_when_full()
        body = Body(self._room)
        try:
            length = declared_length(dict(scope["headers"]))
            if length is None or length > 0:
                if (length or 0) > lane.max_body:
                    raise PayloadTooLarge(f"The request body is larger than {lane.max_body} bytes.")
                await read_into(body, receive, length=length, limit=lane.max_body)
            place = await lane.enter(receive)
        except BaseException:
            body.close()
            raise

        def finished() -> None:
            place.leave()
            body.close()

        view = View(self._application, scope, body, place, asyncio.get_running_loop())
        return await self._threads.run(view, finished=finished)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, error: DomainError) -> None:
        headers = [
            *((name.encode(), value.encode()) for name, value in error.headers.items()),
            _request_id(scope),
            # Part of the body may be unread, and is no request.
            (b"connection", b"close"),
        ]
        if b"text/html" in dict(scope["headers"]).get(b"accept", b""):
            headers, content = [_TEXT, *headers], error.message.encode()
        else:
            answer = dialect_of(scope["path"]).error(Problem.of(error))
            headers, content = [_JSON, *headers], orjson.dumps(answer)
        await _respond(send, error.status, headers, content)
        if self._discarding < _MAX_DISCARDS and error.status != 408:
            self._discarding += 1
            try:
                await discard(receive, limit=self._lane_of("POST", scope["path"]).max_body)
            finally:
                self._discarding -= 1


def _request_id(scope: Scope) -> tuple[bytes, bytes]:
    given = dict(scope["headers"]).get(b"x-request-id", b"")
    return b"x-request-id", accepted_request_id(given.decode("latin-1")).encode()


async def _respond(send: Send, status: int, headers: Headers, content: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _stream(send: Send, result: ViewResult, spool: Spool, *, is_whole: bool) -> None:
    """Sends a streamed response as the client takes it; its thread does not wait for that."""
    headers = result.headers
    try:
        if is_whole and not _has_length(headers):
            headers = [*headers, (b"content-length", str(spool.length).encode())]
        await send({"type": "http.response.start", "status": result.status, "headers": headers})
        async for chunk in spool.chunks():
            async with asyncio.timeout(STALLED_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except TimeoutError:
        logger.info("A client stopped reading its response")
    finally:
        spool.close()


def _has_length(headers: Headers) -> bool:
    return any(name == b"content-length" for name, _ in headers)
