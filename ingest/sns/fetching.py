"""Fetches one certificate over HTTP, with a deadline that a slow server cannot extend."""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

_CHUNK_BYTES = 4096


class FetchFailed(Exception):
    """No usable response; the message says why."""


class Fetch:
    """A single GET: no redirects, no proxies, no credentials from the environment, no retries.

    A socket timeout restarts with each byte, so it does not stop a server that drips bytes.
    `deadline` (time.monotonic) bounds the body. Connecting and headers are bounded by the caller,
    who waits in another thread and calls `abort` when the deadline has passed.
    """

    def __init__(self, url: str, *, deadline: float, max_bytes: int) -> None:
        self._url = url
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._adapter = _AbortableAdapter()

    def run(self) -> bytes:
        """The body of a 200 response. Raises FetchFailed, also after `abort`."""
        timeout = max(0.001, self._deadline - time.monotonic())
        with requests.Session() as session:
            session.trust_env = False
            session.mount("https://", self._adapter)
            session.mount("http://", self._adapter)
            try:
                with session.get(
                    self._url,
                    timeout=timeout,
                    allow_redirects=False,
                    stream=True,
                    headers={"Accept-Encoding": "identity"},
                ) as response:
                    return self._read(response)
            except (requests.RequestException, OSError, ValueError) as error:
                raise FetchFailed(type(error).__name__) from error

    def abort(self) -> None:
        self._adapter.abort()

    def _read(self, response: requests.Response) -> bytes:
        if response.status_code != 200:
            raise FetchFailed(f"HTTP status {response.status_code}")
        content = bytearray()
        # read1 returns the bytes that have arrived; read would wait for a full chunk.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
            content += chunk
            if len(content) > self._max_bytes:
                raise FetchFailed(f"more than {self._max_bytes} bytes")
            if time.monotonic() > self._deadline:
                raise FetchFailed("the fetch timed out")
        return bytes(content)


class _AbortableAdapter(HTTPAdapter):
    """Tracks its connections, because requests exposes them only after the headers."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)
        self._opened: list[HTTPConnection] = []

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        connect: Callable[..., HTTPConnection] = type(pool).ConnectionCls

        def open_connection(**options: Any) -> HTTPConnection:
            connection = connect(**options)
            self._opened.append(connection)
            return connection

        pool.ConnectionCls = open_connection
        return pool

    def abort(self) -> None:
        for connection in list(self._opened):
            if (sock := connection.sock) is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
