"""One request on its way through a session, timed and capped."""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO

import aiohttp
from yarl import URL

from core.outbound.connector import Trip, current_trip
from core.outbound.outcome import Outcome

_LARGE_BODY = 1024 * 1024  # from here on aiohttp wants a file, which it sends in pieces


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What is known of one request and of its answer so far."""

    method: str
    headers: Mapping[str, str]
    body: bytes
    timeout: float
    max_body: int
    _started: float = field(default_factory=time.perf_counter)
    _trip: Trip = field(default_factory=Trip)
    _response: aiohttp.ClientResponse | None = None
    _chunks: list[bytes] = field(default_factory=list)
    _truncated: bool = False

    async def run(
        self, session: aiohttp.ClientSession, target: URL, tls: ssl.SSLContext | bool
    ) -> None:
        """Send, and read the answer up to the cap; raises what NETWORK_TROUBLE names."""
        await self._run(session, target, tls, _total(self.timeout))

    async def repeat(
        self, session: aiohttp.ClientSession, target: URL, tls: ssl.SSLContext | bool
    ) -> None:
        """Send again in the time that is left."""
        await self._run(session, target, tls, aiohttp.ClientTimeout(total=self._left()))

    def may_repeat(self, error: Exception) -> bool:
        """Only a reused connection that closed without a byte is certain to be the old race."""
        silent = not isinstance(error, aiohttp.ServerDisconnectedError) or isinstance(
            error.message, str
        )
        failed_to_connect = isinstance(error, aiohttp.ClientConnectorError)
        untouched = self._response is None and silent and not failed_to_connect
        return self._trip.reused and untouched and self._left() > 0

    def outcome(self, error: str | None, message: str) -> Outcome:
        response = self._response
        return Outcome(
            status=response.status if response is not None else None,
            error=error,
            message=message,
            body=b"".join(self._chunks),
            truncated=self._truncated,
            duration_ms=round((time.perf_counter() - self._started) * 1000),
            address=self._trip.address,
            headers=response.headers if response is not None else {},
        )

    async def _run(
        self,
        session: aiohttp.ClientSession,
        target: URL,
        tls: ssl.SSLContext | bool,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (aiohttp keeps it)
    ) -> None:
        current_trip.set(self._trip)
        response = await session.request(
            self.method,
            target,
            headers=self.headers,
            data=self._payload(),
            timeout=timeout,
            allow_redirects=False,
            ssl=tls,
        )
        self._response = response
        try:
            await self._read(response)
        except BaseException:
            response.close()
            raise

    def _payload(self) -> bytes | BytesIO | None:
        return BytesIO(self.body) if len(self.body) >= _LARGE_BODY else self.body or None

    def _left(self) -> float:
        return self.timeout - (time.perf_counter() - self._started)

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        left, stream = self.max_body, response.content
        while left > 0 and not stream.at_eof():
            chunk = await stream.read(left)
            self._chunks.append(chunk)
            left -= len(chunk)
        self._truncated = not stream.at_eof()
        if self._truncated:
            response.close()  # to read on for the sake of reuse would let the server set our pace
        else:
            response.release()


@lru_cache(maxsize=64)
def _total(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)
