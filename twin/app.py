"""The one port: AWS calls told apart by their scope, SNS's public URLs, the control API."""

import logging
import time
from pathlib import Path
from uuid import uuid4

from aiohttp import web

from twin.aws import AwsError, Call, Service, credential_scope, link_scope, region_of
from twin.control import add_control_routes
from twin.core import Twin, build_twin
from twin.journal import CallRecord
from twin.s3.service import S3Service
from twin.ses.service import SesService
from twin.sns.service import SnsService

# 40 MB of raw MIME in base64 within JSON, and some room.
_MAX_BODY_BYTES = 64 * 1024 * 1024
# The URLs in SNS's messages are followed without a signature.
_UNSIGNED_ACTIONS = {"ConfirmSubscription": "TopicArn", "Unsubscribe": "SubscriptionArn"}

logger = logging.getLogger(__name__)


def build_app(
    *, var_dir: Path, buckets: tuple[str, ...] = (), secret_key: str = ""
) -> web.Application:
    """`buckets` are there from the start; see Twin for `secret_key`."""
    twin = build_twin(var_dir=var_dir, buckets=buckets, secret_key=secret_key)
    front = _Front(twin)
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    add_control_routes(app, twin)
    app.router.add_get(twin.signer.certificate_path, front.show_certificate)
    app.router.add_route("*", "/{path:.*}", front.answer)
    app.on_startup.append(front.start)
    app.on_cleanup.append(front.stop)
    return app


class _Front:
    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._services: dict[str, Service] = {
            "ses": SesService(twin),
            "sns": SnsService(twin),
            "s3": S3Service(twin),
        }

    async def start(self, app: web.Application) -> None:
        await self._twin.courier.start()

    async def stop(self, app: web.Application) -> None:
        await self._twin.courier.stop()
        self._twin.store.write()

    async def show_certificate(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._twin.signer.certificate_pem, content_type="application/x-pem-file"
        )

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            name, region, signed = _scope(request)
            service = self._services.get(name)
            if service is None:
                raise AwsError("UnknownService", f"The twin has no {name}", status=404)
        except AwsError as error:
            return web.json_response({"message": error.message}, status=error.status)
        return await self._run(request, body, service, name=name, region=region, signed=signed)

    async def _run(
        self,
        request: web.Request,
        body: bytes,
        service: Service,
        *,
        name: str,
        region: str,
        signed: bool,
    ) -> web.Response:
        at, operation, error_code = time.time(), "Unknown", None
        try:
            operation, params = service.read(request, body)
            self._twin.faults.check(operation)
            call = Call(
                service=name,
                operation=operation,
                region=region,
                params=params,
                source_ip=request.remote or "",
                signed=signed,
            )
            response = await service.run(call)
        except AwsError as error:
            error_code = error.code
            response = service.refuse(error)
        except Exception:
            # Callers and the list of calls see it as a failure of AWS; the log has the reason.
            logger.exception("%s %s failed", name, operation)
            error_code = "InternalFailure"
            response = service.refuse(AwsError(error_code, "Internal failure", status=500))
        response.headers["x-amzn-RequestId"] = str(uuid4())
        record = CallRecord(
            service=name,
            operation=operation,
            region=region,
            at=at,
            status=response.status,
            error=error_code,
        )
        self._twin.journal.add_call(record)
        return response


def _scope(request: web.Request) -> tuple[str, str, bool]:
    """(service, region, signed). The signature itself is not checked."""
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        return *credential_scope(authorization), True
    if (credential := request.query.get("X-Amz-Credential")) is not None:
        return *link_scope(credential), True
    names_arn = _UNSIGNED_ACTIONS.get(request.query.get("Action", ""))
    if request.method == "GET" and names_arn is not None:
        return "sns", region_of(request.query.get(names_arn, "")), False
    raise AwsError("MissingAuthenticationToken", "Missing Authentication Token", status=403)
