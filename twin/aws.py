"""What every AWS service has in common: the signed scope, ARNs, timestamps and errors."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from aiohttp import web

# The account that moto uses too, so that ARNs of both fit together.
ACCOUNT_ID = "123456789012"

_Item = TypeVar("_Item")
_SCOPE = r"[^/,\s]+/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request"
_CREDENTIAL = re.compile(f"Credential={_SCOPE}")


class AwsError(Exception):
    """An error as AWS words it: `code` becomes the exception class in boto3."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One API call. `params` is the JSON body with the path's and query's, or a form."""

    service: str
    operation: str
    region: str
    params: dict[str, Any]
    source_ip: str
    signed: bool = True


class Service(Protocol):
    """One AWS API behind the shared port."""

    def read(self, request: web.Request, body: bytes) -> tuple[str, dict[str, Any]]:
        """The operation's name and its parameters; AwsError when there is no such operation."""
        ...

    async def run(self, call: Call) -> web.Response: ...

    def refuse(self, error: AwsError) -> web.Response: ...


def credential_scope(authorization: str) -> tuple[str, str]:
    """(service, region) from a SigV4 Authorization header (AWS "Signature Version 4" pages)."""
    return _scope_of(_CREDENTIAL.search(authorization))


def link_scope(credential: str) -> tuple[str, str]:
    """(service, region) from the X-Amz-Credential of a presigned URL."""
    return _scope_of(re.fullmatch(_SCOPE, credential))


def _scope_of(match: re.Match[str] | None) -> tuple[str, str]:
    if match is None:
        raise AwsError("MissingAuthenticationToken", "Missing Authentication Token", status=403)
    return match[2], match[1]


def arn(service: str, region: str, resource: str) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT_ID}:{resource}"


def region_of(resource_arn: str) -> str:
    """The region field of an ARN, or "" when the string is no ARN."""
    fields = resource_arn.split(":")
    return fields[3] if len(fields) >= 6 and fields[0] == "arn" else ""


def iso_time(moment: float) -> str:
    """Unix seconds as `2026-01-31T12:00:00.123Z`, the form of SNS and SES events."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def page(items: list[_Item], *, token: str | None, size: int) -> tuple[list[_Item], str | None]:
    """One page and the token of the next one, or None at the end. ValueError for a bad token."""
    start = int(token) if token else 0
    if start < 0:
        raise ValueError(token)
    end = start + size
    return items[start:end], str(end) if end < len(items) else None
