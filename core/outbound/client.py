"""HTTP client for customer-supplied URLs: concurrent, and bounded in time and memory."""

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Self

import aiohttp
from yarl import URL

from core.outbound.connector import GuardedConnector
from core.outbound.exchange import Exchange
from core.outbound.outcome import NETWORK_ERRORS, Outcome, describe
from core.outbound.policy import OutboundPolicy
from core.outbound.resolver import CheckedResolver, Lookup
from core.outbound.urls import check_url

DEFAULT_LIMIT = 500

_READ_BUFFER = 16 * 1024
_CALLER_HEADERS = ("User-Agent", "Accept", "Content-Type")  # sent only if the caller sets them


class OutboundClient:
    """A connection pool for one event loop. Use as an async context manager.

    Does not follow redirects, store cookies, use proxies or decompress bodies.

    `limit` bounds requests in flight, `max_open` all connections including idle ones; `lookup`
    replaces the system's DNS resolver, `tls` its trusted certificates.
    """

    def __init__(
        self,
        policy: OutboundPolicy,
        *,
        limit: int = DEFAULT_LIMIT,
        max_open: int | None = None,
        tls: ssl.SSLContext | None = None,
        lookup: Lookup | None = None,
        dns_timeout: float = 5.0,
    ) -> None:
        self._policy = policy
        self._limit = limit
        self._max_open = max_open or 2 * limit
        self._tls: ssl.SSLContext | bool = tls or True
        self._lookup = lookup
        self._dns_timeout = dns_timeout

    async def __aenter__(self) -> Self:
        self._resolver = CheckedResolver(
            self._policy, lookup=self._lookup, timeout=self._dns_timeout
        )
        self._pooled = self._open_session(force_close=False)
        self._fresh = self._open_session(force_close=True)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._pooled.close()
        await self._fresh.close()
        await self._resolver.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout: float,  # noqa: ASYNC109 (reported in the outcome, not raised)
        max_body: int,
    ) -> Outcome:
        """Send one request. A network error is an Outcome with `error`, never an exception.

        `timeout` (seconds) covers everything: DNS, connecting, TLS, sending and reading. At most
        `max_body` bytes of the body are read; the connection of a longer one is closed.

        A request may reach the server twice: if a reused connection closes before any byte of the
        response, it is sent again on a new connection (RFC 9112, section 9.3.1).
        """
        exchange = Exchange(
            method=method, headers=headers, body=body, timeout=timeout, max_body=max_body
        )
        try:
            parsed = check_url(url, self._policy)
            target = _target(parsed.url)
            try:
                await exchange.run(self._pooled, target, self._tls)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if not exchange.may_retry(error):
                    raise
                await exchange.retry(self._fresh, target, self._tls)
        except NETWORK_ERRORS as error:
            return exchange.outcome(*describe(error, timeout=timeout))
        return exchange.outcome(None, "")

    def _open_session(self, *, force_close: bool) -> aiohttp.ClientSession:
        connector = GuardedConnector(
            policy=self._policy,
            resolver=self._resolver,
            limit=self._limit,
            max_open=self._max_open,
            force_close=force_close,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=_CALLER_HEADERS,
            headers={"Accept-Encoding": "identity"},
            read_bufsize=_READ_BUFFER,
        )


def fetch(url: str, *, policy: OutboundPolicy, timeout: float, max_body: int) -> Outcome:
    """One blocking GET, for code that is not async."""

    async def get() -> Outcome:
        async with OutboundClient(policy, limit=1) as client:
            return await client.request("GET", url, headers={}, timeout=timeout, max_body=max_body)

    return asyncio.run(get())


@lru_cache(maxsize=4096)
def _target(url: str) -> URL:
    """`encoded` keeps the path byte for byte as the customer wrote it: it may be signed."""
    return URL(url, encoded=True)
