"""Calls a WSGI application (PEP 3333) with a complete request of ASGI."""

import sys
from collections.abc import Callable, Iterable
from typing import IO, Any
from urllib.parse import unquote_to_bytes

Scope = dict[str, Any]
Headers = list[tuple[bytes, bytes]]
Application = Callable[..., Iterable[bytes]]

# In the environment: whether nobody said how long the body would be.
CHUNKED = "opensend.chunked"

_CONSTANT: dict[str, Any] = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "opensend",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}
_NAMES: dict[bytes, str | None] = {
    b"content-type": "CONTENT_TYPE",
    # Of the body that was read, whatever the client wrote.
    b"content-length": None,
    b"transfer-encoding": None,
}


def environ(scope: Scope, body: IO[bytes], length: int) -> dict[str, Any]:
    client, server = scope.get("client"), scope.get("server")
    variables = {
        **_CONSTANT,
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": _path(scope),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0] if server else "localhost",
        "SERVER_PORT": str(server[1]) if server else "",
        "REMOTE_ADDR": client[0] if client else "",
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "CONTENT_LENGTH": str(length),
        CHUNKED: any(name == b"transfer-encoding" for name, _ in scope["headers"]),
    }
    for name, value in scope["headers"]:
        key = _variable(name)
        if key is None:
            continue
        # Nothing here reads a header that is not ASCII; an empty one is refused by name.
        text = value.decode() if value.isascii() else ""
        if key in variables and key.startswith("HTTP_"):
            text = f"{variables[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        variables[key] = text
    return variables


def _variable(name: bytes) -> str | None:
    """None for a header that is left out, such as one with `_`: it could pass for another one."""
    known = _NAMES.get(name, "")
    if known != "":
        return known
    if b"_" in name:
        return None
    return "HTTP_" + name.decode("latin-1").upper().replace("-", "_")


def _path(scope: Scope) -> str:
    """The decoded bytes of the path, as latin-1 (PEP 3333, Unicode Issues)."""
    path: str = scope["path"]
    if path.isascii():
        return path
    raw: bytes = scope.get("raw_path") or b""
    decoded = unquote_to_bytes(raw.partition(b"?")[0]) if raw else path.encode()
    return decoded.decode("latin-1")


class Response:
    """What `start_response` was given."""

    status: int = 500
    headers: Headers

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        self.status = int(status[:3])
        self.headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ]
