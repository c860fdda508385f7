"""The control API under `/_twin/`: faults, what was called and accepted, resets, identities."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from twin.aws import iso_time
from twin.core import Twin
from twin.faults import InvalidFaultError
from twin.journal import Mail
from twin.ses.identities import new_identity
from twin.state import Identity, regional

_STATUSES = ("PENDING", "SUCCESS", "FAILED", "TEMPORARY_FAILURE", "NOT_STARTED")
_DEFAULT_REGION = "us-east-1"


def add_control_routes(app: web.Application, twin: Twin) -> None:
    control = _Control(twin)
    app.router.add_get("/_twin/health", control.show_health)
    app.router.add_get("/_twin/faults", control.show_faults)
    app.router.add_post("/_twin/faults", _checked(control.change_faults))
    app.router.add_delete("/_twin/faults", control.reset_faults)
    app.router.add_get("/_twin/calls", _checked(control.show_calls))
    app.router.add_get("/_twin/mail", _checked(control.show_mail))
    app.router.add_get("/_twin/mail/count", control.count_mail)
    app.router.add_get("/_twin/mail/{id}/raw", control.show_raw_mail)
    app.router.add_get("/_twin/identities", control.show_identities)
    app.router.add_post("/_twin/identities", _checked(control.set_identity))
    app.router.add_post("/_twin/reset", control.reset)
    # Whatever else is asked here must not be taken for an AWS call.
    app.router.add_route("*", "/_twin/{path:.*}", control.refuse)


class _BadRequestError(ValueError):
    """A request that names something unknown or impossible."""


_Handler = Callable[[web.Request], Awaitable[web.Response]]


def _checked(handler: _Handler) -> _Handler:
    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except (_BadRequestError, InvalidFaultError) as error:
            return _json({"error": str(error)}, status=400)

    return answer


class _Control:
    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    async def show_health(self, request: web.Request) -> web.Response:
        """`pending_*` both 0 means that nothing more will be posted by itself."""
        courier = self._twin.courier
        return _json(
            {
                "status": "ok",
                "pending_events": self._twin.events.scheduled,
                "pending_deliveries": courier.pending,
                "delivered": courier.delivered,
                "exhausted": courier.exhausted,
            }
        )

    async def show_faults(self, request: web.Request) -> web.Response:
        return _json(self._twin.faults.as_dict())

    async def change_faults(self, request: web.Request) -> web.Response:
        self._twin.faults.change(await _read_object(request))
        return _json(self._twin.faults.as_dict())

    async def reset_faults(self, request: web.Request) -> web.Response:
        self._twin.faults.reset()
        return _json(self._twin.faults.as_dict())

    async def show_calls(self, request: web.Request) -> web.Response:
        operation = request.query.get("operation")
        calls = self._twin.journal.calls(operation=operation, limit=_read_limit(request))
        return _json([each.as_dict() for each in calls])

    async def show_mail(self, request: web.Request) -> web.Response:
        with_raw = request.query.get("raw", "true") != "false"
        recipient = request.query.get("recipient")
        mail = self._twin.journal.mail(recipient=recipient, limit=_read_limit(request))
        return _json([_mail(each, with_raw=with_raw) for each in mail])

    async def count_mail(self, request: web.Request) -> web.Response:
        """All that was accepted since the last reset; `kept` of it are still listed."""
        journal = self._twin.journal
        return _json(
            {
                "count": journal.accepted_messages,
                "recipients": journal.accepted_recipients,
                "kept": journal.kept_messages,
            }
        )

    async def show_raw_mail(self, request: web.Request) -> web.Response:
        mail = self._twin.journal.find_mail(request.match_info["id"])
        if mail is None:
            return _json({"error": "no such mail"}, status=404)
        return web.Response(body=mail.raw, content_type="message/rfc822")

    async def show_identities(self, request: web.Request) -> web.Response:
        return _json([_identity(each) for each in self._twin.store.identities.values()])

    async def set_identity(self, request: web.Request) -> web.Response:
        """Set a status for good; an identity that isn't there is made."""
        fields = await _read_object(request)
        name, status = fields.get("name"), fields.get("status", "SUCCESS")
        region = fields.get("region", _DEFAULT_REGION)
        if not isinstance(name, str) or not name:
            raise _BadRequestError("name must be a domain or an address")
        if not isinstance(region, str) or not region:
            raise _BadRequestError("region must be the name of a region")
        if status not in _STATUSES:
            raise _BadRequestError(f"status must be one of {', '.join(_STATUSES)}")
        key = regional(region, name.lower())
        if key not in self._twin.store.identities:
            identity = new_identity(name=name.lower(), region=region)
            self._twin.store.identities[key] = identity
        identity = self._twin.store.identities[key]
        identity.status = status
        identity.settled = True
        self._twin.store.changed()
        return _json(_identity(identity))

    async def reset(self, request: web.Request) -> web.Response:
        self._twin.journal.reset()
        self._twin.faults.reset()
        self._twin.quota.reset()
        self._twin.events.reset()
        # What mail of the past did to its recipients is forgotten with it.
        self._twin.store.suppressed.clear()
        if request.query.get("all") == "true":
            self._twin.store.clear()
            self._twin.courier.forget()
            self._twin.objects.clear()
        return _json({"status": "ok"})

    async def refuse(self, request: web.Request) -> web.Response:
        return _json({"error": f"no {request.method} {request.path}"}, status=404)


async def _read_object(request: web.Request) -> dict[str, Any]:
    try:
        content = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise _BadRequestError("the body must be a JSON object")
    return content


def _read_limit(request: web.Request) -> int | None:
    text = request.query.get("limit")
    if text is None:
        return None
    if not text.isdecimal():
        raise _BadRequestError("limit must be a whole number")
    return int(text)


def _mail(mail: Mail, *, with_raw: bool) -> dict[str, Any]:
    # Base64, since a message need not be text in any one encoding.
    raw = {"raw_base64": base64.b64encode(mail.raw).decode()} if with_raw else {}
    return {
        "id": mail.id,
        "region": mail.region,
        "at": iso_time(mail.at),
        "envelope": {"from": mail.source, "to": mail.recipients},
        "tags": mail.tags,
        "configuration_set": mail.configuration_set,
        **raw,
    }


def _identity(identity: Identity) -> dict[str, Any]:
    return {
        "name": identity.name,
        "region": identity.region,
        "status": identity.status,
        "verified": identity.verified,
        "mail_from_domain": identity.mail_from_domain,
        "configuration_set": identity.configuration_set,
    }


def _json(content: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
