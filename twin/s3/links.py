"""Presigned URLs (AWS, "Authenticating requests: using query parameters")."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

from twin.aws import AwsError

_LONGEST = 7 * 24 * 3600  # seconds
_SIGNATURE = "X-Amz-Signature"
_STAMP = "%Y%m%dT%H%M%SZ"


def check(
    method: str, path: str, query: str, headers: Mapping[str, str], *, secret: str, now: datetime
) -> None:
    """AwsError when the link is malformed, over or, with a secret, signed by something else.

    `path` and `query` as they were sent.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    said = dict(pairs)
    try:
        begins = datetime.strptime(said["X-Amz-Date"], _STAMP).replace(tzinfo=UTC)
        lasts = int(said["X-Amz-Expires"])
        scope = said["X-Amz-Credential"].split("/", 1)[1]
        given, names = said[_SIGNATURE], said["X-Amz-SignedHeaders"].split(";")
    except (KeyError, ValueError, IndexError):
        raise AwsError(
            "AuthorizationQueryParametersError", "Query-string authentication is incomplete."
        ) from None
    if not 1 <= lasts <= _LONGEST:
        message = "X-Amz-Expires must be between 1 and 604800 seconds"
        raise AwsError("AuthorizationQueryParametersError", message)
    if now >= begins + timedelta(seconds=lasts):
        raise AwsError("AccessDenied", "Request has expired", status=403)
    asked = "\n".join(
        [
            method,
            path,
            _canonical([pair for pair in pairs if pair[0] != _SIGNATURE]),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in names),
            "",
            ";".join(names),
            "UNSIGNED-PAYLOAD",
        ]
    )
    if secret and not hmac.compare_digest(
        given, _signature(asked, secret=secret, scope=scope, stamp=said["X-Amz-Date"])
    ):
        message = (
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        )
        raise AwsError("SignatureDoesNotMatch", message, status=403)


def _canonical(pairs: list[tuple[str, str]]) -> str:
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _signature(asked: str, *, secret: str, scope: str, stamp: str) -> str:
    """`scope` is `date/region/s3/aws4_request`."""
    digest = hashlib.sha256(asked.encode()).hexdigest()
    signed = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return hmac.digest(key, signed.encode(), hashlib.sha256).hex()
