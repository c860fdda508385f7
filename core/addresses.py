"""Bare email addresses (RFC 5321 section 4.1.2): validation, normalisation and comparison; and
those that are for tests."""

import re
from functools import lru_cache

import idna

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")

SIMULATOR_DOMAIN = "simulator.amazonses.com"
# The test addresses of Resend's clients, by their counterparts in the mailbox simulator of SES
# (Amazon SES developer guide, "Using the mailbox simulator"). Both take labels: `bounced+a@`.
_TEST_DOMAIN = "resend.dev"
_SIMULATOR_NAMES = {
    "delivered": "success",
    "bounced": "bounce",
    "complained": "complaint",
    "suppressed": "suppressionlist",
}


def normalise(address: str) -> str:
    """The address with its domain in lower-case A-labels. ValueError carries the message.

    Quoted and non-ASCII local parts are rejected: SES accepts neither.
    """
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise ValueError(f"`{address}` is not an email address such as `name@example.com`")
    if not local.isascii():
        raise ValueError(
            f"`{address}` has non-ASCII characters before the @, which SES does not support"
        )
    if not _LOCAL.fullmatch(local) or len(local) > 64:
        raise ValueError(f"`{address}` is not an email address: check the part before the @")
    try:
        return f"{local}@{_a_labels(domain)}"
    except ValueError as error:
        raise ValueError(f"`{address}` {error}") from None


def identity(address: str) -> str:
    """The key under which addresses are compared: case-insensitive."""
    return address.lower()


def simulator_address(address: str) -> str:
    """The mailbox simulator's address for a test address, with its label; others unchanged."""
    local, _, domain = address.rpartition("@")
    name, plus, label = local.partition("+")
    counterpart = _SIMULATOR_NAMES.get(name.lower()) if domain.lower() == _TEST_DOMAIN else None
    return f"{counterpart}{plus}{label}@{SIMULATOR_DOMAIN}" if counterpart else address


def is_simulated(address: str) -> bool:
    """Whether mail to the address ends in the mailbox simulator, so nobody's mailbox is meant."""
    return simulator_address(address).lower().endswith(f"@{SIMULATOR_DOMAIN}")


@lru_cache(maxsize=10_000)
def _a_labels(domain: str) -> str:
    name = domain.lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode().lower()
        except idna.IDNAError as error:
            raise ValueError(f"has a malformed domain: {error}") from None
    labels = name.split(".")
    if len(labels) < 2 or len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("is not an email address: check the domain after the @")
    return name
