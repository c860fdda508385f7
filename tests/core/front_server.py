"""A real server process with `core.server` in front of a small application, and raw sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from core.processes import die_with_parent
from devstack.embedded import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PAUSE_SECONDS = 1.0
QUEUE_SECONDS = 1.0
_RUN = "from opensend.web import server; server(host='127.0.0.1', port={port}, target={target!r})"


class Server:
    """One process; `host` and `port` for raw sockets."""

    def __init__(self, port):
        self.port = port

    def connect(self, data=b""):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        if data:
            connection.sendall(data)
        return connection

    def ask(self, data):
        """Send the bytes on a connection of their own; (status, headers, body)."""
        with self.connect(data) as connection:
            return answer(connection)

    def get(self, path):
        status, _, body = self.ask(request("GET", path))
        assert status == 200, body
        return json.loads(body)

    def ran(self, path):
        return self.get("/log").count(path)


def start(port, **variables):
    code = _RUN.format(port=port, target="tests.core.front_application:front") + ".serve()"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ
        | {
            "WEB_WORKERS": "1",
            "PAUSE_SECONDS": str(PAUSE_SECONDS),
            "QUEUE_SECONDS": str(QUEUE_SECONDS),
            **variables,
        },
        preexec_fn=die_with_parent(signal.SIGTERM),
    )


@contextmanager
def running_server():
    port = free_port()
    process = start(port)
    try:
        end = time.monotonic() + 20
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        yield Server(port)
    finally:
        process.terminate()
        process.wait(20)


def request(method, path, body=None, *headers, length=None):
    """The bytes of a request; with `length` it declares another than it has."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def chunked(path, *chunks, end=b"0\r\n\r\n"):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + end


def answer(connection):
    """(status, headers, body) of the next response; status 0 when the connection ends first."""
    with connection.makefile("rb") as file:
        try:
            first = file.readline()
        except ConnectionError:
            first = b""
        if not first:
            return 0, {}, b""
        headers = {}
        while line := file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(file.readline(), 16):
                body += file.read(size)
                file.readline()
            file.readline()
        else:
            body = file.read(int(headers.get("content-length", 0)))
    return int(first.split()[1]), headers, body


def is_closed(connection):
    with suppress(ConnectionError):
        return connection.recv(1) == b""
    return True
