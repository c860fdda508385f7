"""The SES v2 API behind the shared port: REST paths in, JSON out."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import web

from twin.aws import AwsError, Call
from twin.core import Twin
from twin.ses import configuration_sets, identities, sending, suppression

_Operation = Callable[[Twin, Call], dict[str, Any]]

_SETS = "/v2/email/configuration-sets"
_SET = _SETS + "/{ConfigurationSetName}"
_DESTINATIONS = _SET + "/event-destinations"
_DESTINATION = _DESTINATIONS + "/{EventDestinationName}"
_IDENTITIES = "/v2/email/identities"
_SUPPRESSED = "/v2/email/suppression/addresses"
_IDENTITY = _IDENTITIES + "/{EmailIdentity}"

_ROUTES: list[tuple[str, str, str, _Operation]] = [
    ("GetAccount", "GET", "/v2/email/account", sending.get_account),
    ("CreateEmailIdentity", "POST", _IDENTITIES, identities.create_email_identity),
    # What botocore 1.44 calls is the first; older ones use GET on the collection.
    ("ListEmailIdentities", "POST", "/v2/email/list-identities", identities.list_email_identities),
    ("ListEmailIdentities", "GET", _IDENTITIES, identities.list_email_identities),
    ("GetEmailIdentity", "GET", _IDENTITY, identities.get_email_identity),
    ("DeleteEmailIdentity", "DELETE", _IDENTITY, identities.delete_email_identity),
    (
        "PutEmailIdentityMailFromAttributes",
        *("PUT", _IDENTITY + "/mail-from", identities.put_mail_from_attributes),
    ),
    (
        "PutEmailIdentityConfigurationSetAttributes",
        *("PUT", _IDENTITY + "/configuration-set", identities.put_configuration_set_attributes),
    ),
    ("PutSuppressedDestination", "PUT", _SUPPRESSED, suppression.put_suppressed_destination),
    ("ListSuppressedDestinations", "GET", _SUPPRESSED, suppression.list_suppressed_destinations),
    (
        "GetSuppressedDestination",
        *("GET", _SUPPRESSED + "/{EmailAddress}", suppression.get_suppressed_destination),
    ),
    (
        "DeleteSuppressedDestination",
        *("DELETE", _SUPPRESSED + "/{EmailAddress}", suppression.delete_suppressed_destination),
    ),
    ("CreateConfigurationSet", "POST", _SETS, configuration_sets.create_configuration_set),
    (
        "ListConfigurationSets",
        "POST",
        "/v2/email/list-configuration-sets",
        configuration_sets.list_configuration_sets,
    ),
    ("ListConfigurationSets", "GET", _SETS, configuration_sets.list_configuration_sets),
    ("GetConfigurationSet", "GET", _SET, configuration_sets.get_configuration_set),
    ("DeleteConfigurationSet", "DELETE", _SET, configuration_sets.delete_configuration_set),
    (
        "CreateConfigurationSetEventDestination",
        *("POST", _DESTINATIONS, configuration_sets.create_event_destination),
    ),
    (
        "GetConfigurationSetEventDestinations",
        *("GET", _DESTINATIONS, configuration_sets.get_event_destinations),
    ),
    (
        "UpdateConfigurationSetEventDestination",
        *("PUT", _DESTINATION, configuration_sets.update_event_destination),
    ),
    (
        "DeleteConfigurationSetEventDestination",
        *("DELETE", _DESTINATION, configuration_sets.delete_event_destination),
    ),
]
_LISTS_IN_QUERY = {"Reason"}
_SEND_PATH = "/v2/email/outbound-emails"


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


_PATTERNS = [(method, _pattern(path), name) for name, method, path, _ in _ROUTES]
_OPERATIONS: dict[str, _Operation] = {name: operation for name, _, _, operation in _ROUTES}


class SesService:
    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def read(self, request: web.Request, body: bytes) -> tuple[str, dict[str, Any]]:
        operation, from_path = _route(request.method, request.rel_url.raw_path)
        return operation, _read_json(body) | _read_query(request) | from_path

    async def run(self, call: Call) -> web.Response:
        if call.operation == "SendEmail":
            return _json(await sending.send_email(self._twin, call))
        return _json(_OPERATIONS[call.operation](self._twin, call))

    def refuse(self, error: AwsError) -> web.Response:
        response = _json({"message": error.message}, status=error.status)
        response.headers["x-amzn-ErrorType"] = error.code
        return response


def _route(method: str, path: str) -> tuple[str, dict[str, str]]:
    if method == "POST" and path == _SEND_PATH:
        return "SendEmail", {}
    for expected, pattern, name in _PATTERNS:
        match = pattern.fullmatch(path) if method == expected else None
        if match is not None:
            return name, {key: unquote(value) for key, value in match.groupdict().items()}
    raise AwsError("UnknownOperationException", f"{method} {path} is no operation", status=404)


def _read_query(request: web.Request) -> dict[str, Any]:
    """The parameters; those that the API has as a list are one here, too."""
    query: dict[str, Any] = dict(request.query)
    for name in _LISTS_IN_QUERY & query.keys():
        query[name] = request.query.getall(name)
    return query


def _read_json(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        params = orjson.loads(body)
    except orjson.JSONDecodeError:
        params = None
    if not isinstance(params, dict):
        raise AwsError("SerializationException", "The request is no JSON object")
    return params


def _json(content: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
