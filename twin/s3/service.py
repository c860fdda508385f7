"""The S3 API behind the shared port."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

from twin.aws import AwsError, Call
from twin.core import Twin
from twin.s3 import links
from twin.s3.objects import environ_of
from twin.s3.operations import operation_of


class S3Service:
    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def read(self, request: web.Request, body: bytes) -> tuple[str, dict[str, Any]]:
        path = request.rel_url.raw_path
        if "Authorization" not in request.headers:
            links.check(
                request.method,
                path,
                request.rel_url.raw_query_string,
                request.headers,
                secret=self._twin.secret_key,
                now=datetime.now(UTC),
            )
        operation = operation_of(request.method, path, request.query)
        if operation is None:
            message = "A header or query you provided implies functionality that isn't there."
            raise AwsError("NotImplemented", message, status=501)
        return operation, {"environ": environ_of(request, body)}

    async def run(self, call: Call) -> web.Response:
        return await asyncio.to_thread(self._twin.objects.ask, call.params["environ"])

    def refuse(self, error: AwsError) -> web.Response:
        fields = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{fields}</Error>'
        return web.Response(text=text, status=error.status, content_type="application/xml")
