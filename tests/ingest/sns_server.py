"""A real HTTP server on loopback that serves certificates, or misbehaves on demand."""

import contextlib
import threading
from collections import Counter
from http.server import ThreadingHTTPServer

from tests.clients import QuietHandler, serving


class CertificateServer(ThreadingHTTPServer):
    """`responses` maps a path to bytes or to a function of the request handler."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.responses = {}
        self.requests = Counter()
        self.headers = []
        self.closing = threading.Event()

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """Ignore clients that hang up: these tests provoke that."""


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests[self.path] += 1
        self.server.headers.append(dict(self.headers))
        response = self.server.responses.get(self.path)
        if callable(response):
            self.close_connection = True
            response(self)
        else:
            send(
                self, b"nothing" if response is None else response, status=200 if response else 404
            )


def send(handler, content, *, status=200, **headers):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


def drip(handler, content):
    """Send one byte every 50 ms, so that no socket timeout fires."""
    for byte in content:
        if handler.server.closing.wait(0.05):
            return
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()


@contextlib.contextmanager
def running_server():
    with serving(CertificateServer()) as server:
        try:
            yield server
        finally:
            server.closing.set()
