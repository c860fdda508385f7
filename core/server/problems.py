"""Why a request was answered before Django saw it."""

from core.errors import DomainError

RETRY_AFTER = 2  # seconds; roughly what a full queue takes to drain


class Overloaded(DomainError):
    """More requests are waiting than are served in a second or two."""

    status = 503
    name = "overloaded"
    headers = {"retry-after": str(RETRY_AFTER)}


class BodyTooSlow(DomainError):
    """RFC 9110 section 15.5.9."""

    status = 408
    name = "request_timeout"


class BodyIncomplete(DomainError):
    """The connection ended before the body did (RFC 9112 section 8)."""

    status = 400
    name = "incomplete_body"


class Broken(DomainError):
    """A bug, or a file that a view can't read to its end."""

    status = 500
    name = "internal_server_error"


class ClientGone(Exception):
    """The client closed the connection while its request was waiting: nobody reads an answer."""
