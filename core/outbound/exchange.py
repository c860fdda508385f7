"""One HTTP exchange, bounded in time and response size."""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO

import aiohttp
from yarl import URL

from core.outbound.connector import ConnectionInfo, current_connection
from core.outbound.outcome import Outcome

_LARGE_BODY = 1024 * 1024  # aiohttp sends larger ones from a file object, in chunks


@dataclass(slots=True, kw_only=True)
class Exchange:
    """The state of one request and of its response so far."""

    method: str
    headers: Mapping[str, str]
    body: bytes
    timeout: float
    max_body: int
    _started: float = field(default_factory=time.perf_counter)
    _connection: ConnectionInfo = field(default_factory=ConnectionInfo)
    _response: aiohttp.ClientResponse | None = None
    _chunks: list[bytes] = field(default_factory=list)
    _truncated: bool = False

    async def run(
        self, session: aiohttp.ClientSession, target: URL, tls: ssl.SSLContext | bool
    ) -> None:
        """Send, and read the response up to `max_body`; raises one of NETWORK_ERRORS."""
        await self._run(session, target, tls, _total(self.timeout))

    async def retry(
        self, session: aiohttp.ClientSession, target: URL, tls: ssl.SSLContext | bool
    ) -> None:
        """Send again within the remaining time."""
        await self._run(
            session, target, tls, aiohttp.ClientTimeout(total=self._remaining_seconds())
        )

    def may_retry(self, error: Exception) -> bool:
        """Whether a reused connection closed without a byte: the race of RFC 9112 section 9.3.1."""
        no_response_byte = not isinstance(error, aiohttp.ServerDisconnectedError) or isinstance(
            error.message, str
        )
        failed_to_connect = isinstance(error, aiohttp.ClientConnectorError)
        no_response = self._response is None and no_response_byte and not failed_to_connect
        return self._connection.reused and no_response and self._remaining_seconds() > 0

    def outcome(self, error: str | None, message: str) -> Outcome:
        response = self._response
        return Outcome(
            status=response.status if response is not None else None,
            error=error,
            message=message,
            body=b"".join(self._chunks),
            truncated=self._truncated,
            duration_ms=round((time.perf_counter() - self._started) * 1000),
            address=self._connection.address,
            headers=response.headers if response is not None else {},
        )

    async def _run(
        self,
        session: aiohttp.ClientSession,
        target: URL,
        tls: ssl.SSLContext | bool,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (aiohttp enforces it)
    ) -> None:
        current_connection.set(self._connection)
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

    def _remaining_seconds(self) -> float:
        return self.timeout - (time.perf_counter() - self._started)

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        remaining, stream = self.max_body, response.content
        while remaining > 0 and not stream.at_eof():
            chunk = await stream.read(remaining)
            self._chunks.append(chunk)
            remaining -= len(chunk)
        self._truncated = not stream.at_eof()
        if self._truncated:
            response.close()  # draining it to reuse the connection would let the server stall us
        else:
            response.release()


@lru_cache(maxsize=64)
def _total(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)
