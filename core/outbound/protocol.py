"""One connection's side that listens, kept from being drowned."""

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

# What is parsed at one go. uvloop hands over 256 KiB, and aiohttp makes objects of all heads in
# them before anyone reads the first: 25 bytes that say "100 Continue" become some kilobytes.
PIECE = 16 * 1024
MOST_WAITING = 20  # heads that nobody has read yet; a server has no use for more than a few


class BoundedProtocol(ResponseHandler):
    """Gives a connection up that sends answer upon answer, interim ones or unasked for."""

    def data_received(self, data: bytes) -> None:
        # Nothing at all is how aiohttp asks itself to go on with what it held back.
        for start in range(0, len(data) or 1, PIECE):
            if self.exception() is not None:
                return
            super().data_received(data[start : start + PIECE])
            if len(self) > MOST_WAITING:
                self.set_exception(HttpProcessingError(message="too many answers to one request"))
                if self.transport is not None:
                    self.transport.abort()
