"""Runs Django in a thread, and hands its response over."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from core.server import waits, wsgi
from core.server.bodies import Body
from core.server.lanes import Place
from core.server.spool import Spool

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ViewResult:
    """A response: complete in `content`, or in `spool`, which `rest` fills."""

    status: int
    headers: wsgi.Headers
    content: bytes = b""
    spool: Spool | None = None
    rest: Callable[[], None] | None = None


class View:
    """One call of the application, to be made in a thread."""

    __slots__ = ("_application", "_body", "_loop", "_place", "_scope")

    def __init__(
        self,
        application: wsgi.Application,
        scope: wsgi.Scope,
        body: Body,
        place: Place,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._application = application
        self._scope = scope
        self._body = body
        self._place = place
        self._loop = loop

    def __call__(self) -> ViewResult:
        started = wsgi.Response()
        environ = wsgi.environ(self._scope, self._body.stream, self._body.length)
        with waits.request_in_lane(self._leave):
            response: Any = self._application(environ, started.start)
            if not getattr(response, "streaming", False):
                try:
                    return ViewResult(started.status, started.headers, b"".join(response))
                finally:
                    response.close()
        spool = Spool(self._loop)
        return ViewResult(
            started.status, started.headers, spool=spool, rest=lambda: self._fill(response, spool)
        )

    def _fill(self, response: Any, spool: Spool) -> None:
        chunks: Iterable[bytes] = response
        try:
            for chunk in chunks:
                spool.write(chunk)
            spool.complete()
        except Exception as error:
            logger.exception("A streamed response failed")
            spool.complete(error)
        finally:
            response.close()

    def _leave(self) -> None:
        self._loop.call_soon_threadsafe(self._place.leave)
