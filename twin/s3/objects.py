"""moto's S3 as a WSGI application, called within the process."""

import sys
from functools import cached_property
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import web

from twin.aws import ACCOUNT_ID

# They say how one connection carries a body, and ours is another.
_OF_THE_WIRE = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})


class Objects:
    """Buckets and objects; those named are there from the start.

    moto is loaded with the first call, since it takes most of a second and most runs need none.
    """

    def __init__(self, buckets: tuple[str, ...] = ()) -> None:
        self._buckets = buckets
        self._is_in_use = False

    def ask(self, environ: dict[str, Any]) -> web.Response:
        """Blocks for as long as moto takes."""
        from werkzeug.test import run_wsgi_app

        chunks, status, headers = run_wsgi_app(self._app, environ, buffered=True)
        response = web.Response(body=b"".join(chunks), status=int(status.split()[0]))
        # aiohttp's default would be added to what S3 leaves open.
        response.headers.popall("Content-Type", None)
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        for name, value in headers:
            if name.lower() not in _OF_THE_WIRE or (is_head and name.lower() == "content-length"):
                response.headers.add(name, value)
        return response

    def clear(self) -> None:
        if self._is_in_use:
            self._backend.reset()
            self._make_buckets()

    @cached_property
    def _app(self) -> Any:
        from moto.moto_server.werkzeug_app import create_backend_app

        self._is_in_use = True
        self._make_buckets()
        return create_backend_app("s3")

    @property
    def _backend(self) -> Any:
        from moto.backends import get_backend

        return get_backend("s3")[ACCOUNT_ID]["aws"]

    def _make_buckets(self) -> None:
        for name in self._buckets:
            self._backend.create_bucket(name, "us-east-1")


def environ_of(request: web.Request, body: bytes) -> dict[str, Any]:
    """The request as PEP 3333 has it, with the path as it was sent (`RAW_URI`)."""
    path = unquote_to_bytes(request.rel_url.raw_path).decode("latin-1")
    headers = {f"HTTP_{_variable(name)}": value for name, value in request.headers.items()}
    return {
        **headers,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": request.raw_path,
        "QUERY_STRING": request.rel_url.raw_query_string,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _variable(header: str) -> str:
    return header.upper().replace("-", "_")
