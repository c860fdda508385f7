"""The result of an outbound request, and the codes and messages of its errors."""

import errno
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

from core.outbound.addresses import UnsafeAddress
from core.outbound.urls import UnsafeUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of one request. Both status and error are set if the body failed after the head."""

    status: int | None
    error: str | None
    """One of invalid_url, unsafe_address, dns_error, connection_refused, connection_error,
    tls_error, timeout, invalid_response, too_many_headers."""
    message: str
    """The error in plain English, "" without one."""
    body: bytes
    """At most `max_body` bytes as received, not decompressed."""
    truncated: bool
    """The body is longer than `max_body`, or its end was not received yet at that length."""
    duration_ms: int
    address: str
    """The IP address that was connected to, "" if no connection was attempted."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Case-insensitive, as in `headers.get("Retry-After")`."""

    @property
    def succeeded(self) -> bool:
        return self.error is None and self.status is not None and 200 <= self.status < 300


NETWORK_ERRORS = (
    aiohttp.ClientError,
    UnsafeUrl,
    UnsafeAddress,
    OSError,
)  # TimeoutError is a subclass of OSError


def describe(error: Exception, *, timeout: float) -> tuple[str, str]:
    """The error code and the message for one of NETWORK_ERRORS."""
    match error:
        case UnsafeUrl():
            return error.code, error.reason
        case UnsafeAddress():
            return "unsafe_address", str(error)
        case aiohttp.ClientConnectorDNSError():
            return "dns_error", str(error.os_error)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls_error", _tls_message(error)
        case TimeoutError():
            return "timeout", f"No complete response within {timeout:g} s"
        case aiohttp.ClientResponseError():
            return _describe_bad_head(error)
        case aiohttp.InvalidURL():
            return "invalid_url", "The URL is not valid"
    return _describe_connection(error)


def _tls_message(error: Exception) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    reason = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or str(cause)
    return f"TLS handshake failed: {reason}"


def _describe_bad_head(error: aiohttp.ClientResponseError) -> tuple[str, str]:
    if "too many headers" in error.message.lower():
        return "too_many_headers", "The response has too many headers"
    first_line = error.message.strip().partition("\n")[0].rstrip(":")
    return "invalid_response", f"The response is not valid HTTP: {first_line[:200]}"


def _describe_connection(error: Exception) -> tuple[str, str]:
    number = getattr(error, "errno", None)
    if number == errno.ECONNREFUSED:
        return "connection_refused", "The connection was refused"
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or str(error.os_error)
        return "connection_error", f"Could not connect: {reason}"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "connection_error", "The connection was closed before the end of the body"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "connection_error", "The connection was closed before a response arrived"
    return "connection_error", f"The connection failed: {error}"
