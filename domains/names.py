"""Validates and normalises domain names (RFC 1035, RFC 5891)."""

import re

import idna
from publicsuffix2 import PublicSuffixList

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_suffixes = PublicSuffixList()


def normalise(value: str) -> str:
    """The A-label form in lower case; ValueError says why the name is invalid."""
    name = value.strip().rstrip(".").lower()
    if not name.isascii() or "xn--" in name:
        name = _to_ascii(name)
    if len(name) > 253:
        raise ValueError("must have at most 253 characters")
    labels = name.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("must be a domain name such as `example.com`")
    if labels[-1].isdigit():
        raise ValueError("must be a domain name, not an IP address")
    if _suffixes.get_tld(name) == name:
        raise ValueError(
            f"`{name}` is a public suffix, under which other people register their domains"
        )
    return name


def _to_ascii(name: str) -> str:
    try:
        return idna.encode(name, uts46=True).decode().lower()
    except idna.IDNAError as error:
        raise ValueError(f"is not an internationalised domain name: {error}") from None
