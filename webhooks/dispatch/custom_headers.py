"""Customers' own headers for every request: validation, and storage as encrypted JSON."""

import re
from collections.abc import Mapping
from functools import lru_cache

import orjson

from core.security import crypto

MAX_HEADERS = 20
MAX_NAME = 100  # characters, as of a value
MAX_VALUE = 2000

# RFC 9110: a field name is a token (5.6.2). Values (5.5) are limited to ASCII here because
# receivers decode other bytes differently.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_WHITESPACE = " \t"

# Set by OpenSend or by the HTTP connection; another value would break the request.
_RESERVED = {
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
_RESERVED_PREFIXES = ("proxy-", "svix-", "webhook-")


def problems(headers: Mapping[str, str]) -> dict[str, str]:
    """Validation errors by field path; empty when all headers are valid."""
    errors: dict[str, str] = {}
    if len(headers) > MAX_HEADERS:
        errors["headers"] = f"must be at most {MAX_HEADERS}"
    seen: set[str] = set()
    for name, value in headers.items():
        if error := _name_error(name, seen) or _value_error(value):
            errors[f"headers.{name[:MAX_NAME]}"] = error
        seen.add(name.lower())
    return errors


def trim(headers: Mapping[str, str]) -> dict[str, str]:
    """Spaces and tabs around a value are not part of it (RFC 9110, 5.5)."""
    return {name: value.strip(_WHITESPACE) for name, value in headers.items()}


def encrypt(headers: Mapping[str, str]) -> str:
    return crypto.encrypt(orjson.dumps(dict(headers)).decode()) if headers else ""


@lru_cache(maxsize=10_000)
def decrypt(token: str) -> Mapping[str, str]:
    """Raises InvalidToken when no key of ENCRYPTION_KEYS decrypts it."""
    headers: dict[str, str] = orjson.loads(crypto.decrypt(token)) if token else {}
    return headers


def _name_error(name: str, seen: set[str]) -> str:
    lower = name.lower()
    if len(name) > MAX_NAME:
        return f"must have a name of at most {MAX_NAME} characters"
    if not _TOKEN.fullmatch(name):
        return "must have a name of ASCII letters, digits and any of !#$%&'*+-.^_`|~"
    if lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES):
        return "is set by OpenSend or by HTTP itself; use another name"
    if lower in seen:
        return "is duplicated; header names are not case-sensitive"
    return ""


def _value_error(value: str) -> str:
    value = value.strip(_WHITESPACE)
    if not value:
        return "must have a value; omit the header to send none"
    if len(value) > MAX_VALUE:
        return f"must have a value of at most {MAX_VALUE:,} characters"
    if not _VALUE.fullmatch(value):
        return "must have a value of printable ASCII on one line"
    return ""
