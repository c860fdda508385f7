"""What a customer wants sent along with every request, and how it is stored: encrypted JSON."""

import re
from collections.abc import Mapping
from functools import lru_cache

import orjson

from core.security import crypto

MAX_HEADERS = 20
MAX_NAME = 100  # characters, as of a value
MAX_VALUE = 2000

# RFC 9110: a field name is a token (5.6.2); of what a value may be (5.5), bytes beyond ASCII
# are left out, as receivers don't agree on what they mean.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_EDGES = " \t"

# Set by us, or by HTTP for one connection, so that another value would break the request.
_OURS = {
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-attempt",
    "x-event-id",
    "x-signature",
    "x-timestamp",
}
_OUR_PREFIXES = ("proxy-", "svix-", "webhook-")


def problems(headers: Mapping[str, str]) -> dict[str, str]:
    """What is wrong, by field path; empty when all may be sent."""
    found: dict[str, str] = {}
    if len(headers) > MAX_HEADERS:
        found["headers"] = f"must be at most {MAX_HEADERS}"
    seen: set[str] = set()
    for name, value in headers.items():
        refused = _refused_name(name, seen) or _refused_value(value)
        if refused:
            found[f"headers.{name[:MAX_NAME]}"] = refused
        seen.add(name.lower())
    return found


def trimmed(headers: Mapping[str, str]) -> dict[str, str]:
    """As they are sent: spaces and tabs around a value are no part of it (RFC 9110, 5.5)."""
    return {name: value.strip(_EDGES) for name, value in headers.items()}


def sealed(headers: Mapping[str, str]) -> str:
    return crypto.encrypt(orjson.dumps(dict(headers)).decode()) if headers else ""


@lru_cache(maxsize=10_000)
def opened(token: str) -> Mapping[str, str]:
    """InvalidToken when no key of ENCRYPTION_KEYS fits."""
    found: dict[str, str] = orjson.loads(crypto.decrypt(token)) if token else {}
    return found


def _refused_name(name: str, seen: set[str]) -> str:
    lower = name.lower()
    if len(name) > MAX_NAME:
        return f"must have a name of at most {MAX_NAME} characters"
    if not _TOKEN.fullmatch(name):
        return "must have a name of ASCII letters, digits and any of !#$%&'*+-.^_`|~"
    if lower in _OURS or lower.startswith(_OUR_PREFIXES):
        return "is set by OpenSend or by HTTP itself; use another name"
    if lower in seen:
        return "is there twice; names that differ in case only are the same header"
    return ""


def _refused_value(value: str) -> str:
    value = value.strip(_EDGES)
    if not value:
        return "must have a value; leave the header out to send none"
    if len(value) > MAX_VALUE:
        return f"must have a value of at most {MAX_VALUE:,} characters"
    if not _VALUE.fullmatch(value):
        return "must have a value of printable ASCII on one line"
    return ""
