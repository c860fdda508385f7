"""The AWS query protocol: forms in, XML out (AWS "Making query requests")."""

from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.sax.saxutils import escape

from aiohttp import web

from twin.aws import AwsError


def read_form(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True))


def entries(params: dict[str, str], name: str, *, key: str, value: str) -> dict[str, str]:
    """A map of the form; `A.entry` for `A.entry.1.key=K&A.entry.1.value=V`."""
    found: dict[str, str] = {}
    number = 1
    while (label := params.get(f"{name}.{number}.{key}")) is not None:
        found[label] = params.get(f"{name}.{number}.{value}", "")
        number += 1
    return found


def xml_answer(operation: str, result: dict[str, Any] | None, *, namespace: str) -> web.Response:
    """`result` None is an answer without a result element; the key `Attributes` is a map."""
    inner = "" if result is None else _element(f"{operation}Result", result)
    metadata = f"<ResponseMetadata><RequestId>{uuid4()}</RequestId></ResponseMetadata>"
    text = f'<{operation}Response xmlns="{namespace}">{inner}{metadata}</{operation}Response>'
    return web.Response(text=text, content_type="text/xml")


def xml_error(error: AwsError, *, namespace: str) -> web.Response:
    side = "Sender" if error.status < 500 else "Receiver"
    fields = {"Type": side, "Code": error.code, "Message": error.message}
    inner = _element("Error", fields)
    request_id = f"<RequestId>{uuid4()}</RequestId>"
    text = f'<ErrorResponse xmlns="{namespace}">{inner}{request_id}</ErrorResponse>'
    return web.Response(text=text, status=error.status, content_type="text/xml")


def _element(name: str, value: object) -> str:
    return f"<{name}>{_content(name, value)}</{name}>"


def _content(name: str, value: object) -> str:
    if isinstance(value, list):
        return "".join(_element("member", each) for each in value)
    if isinstance(value, dict) and name == "Attributes":
        pairs = ({"key": key, "value": each} for key, each in value.items())
        return "".join(_element("entry", pair) for pair in pairs)
    if isinstance(value, dict):
        return "".join(_element(key, each) for key, each in value.items() if each is not None)
    return escape(str(value))
