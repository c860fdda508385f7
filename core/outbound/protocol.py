"""aiohttp's response parser, bounded against floods of responses."""

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

# Bytes parsed at once. uvloop delivers up to 256 KiB, and aiohttp builds objects for all response
# heads in them before the first is read: 25 bytes of "100 Continue" become several kilobytes.
CHUNK = 16 * 1024
MAX_UNREAD_HEADS = 20  # a well-behaved server never sends more than a few


class BoundedProtocol(ResponseHandler):
    """Aborts a connection that floods us with interim or unsolicited responses."""

    def data_received(self, data: bytes) -> None:
        # aiohttp calls this with b"" to resume parsing of buffered data.
        for start in range(0, len(data) or 1, CHUNK):
            if self.exception() is not None:
                return
            super().data_received(data[start : start + CHUNK])
            if len(self) > MAX_UNREAD_HEADS:
                self.set_exception(HttpProcessingError(message="too many responses to one request"))
                if self.transport is not None:
                    self.transport.abort()
