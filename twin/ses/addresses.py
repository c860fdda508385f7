"""Mailboxes as SES takes them: ASCII, `a@b` or `Name <a@b>`."""

import re
from email.utils import getaddresses

from twin.aws import AwsError
from twin.ses.mime import decoded

_SPECIALS = re.compile(r'[()<>\[\]:;@\\,."]')
# A quoted string may contain commas and angle brackets.
_NAMED = re.compile(r'(?:"(?:\\.|[^"\\\r\n])*+"|[^<>"\r\n])*+<([^<>]*)>\s*')
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}|\"[\x20\x21\x23-\x5b\x5d-\x7e]{1,62}\"")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def read_mailbox(text: str) -> str:
    """The bare address; BadRequestException, in the words of SES, for anything else."""
    match = _NAMED.fullmatch(text)
    address = (match[1] if match else text).strip()
    local, at, domain = address.rpartition("@")
    if not at:
        raise _bad("Missing final '@domain'")
    if not local:
        raise _bad("Missing local name")
    if not _LOCAL.fullmatch(local):
        raise _bad("Local address contains control or whitespace")
    if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
        raise _bad("Domain contains illegal character")
    return address


def split_mailboxes(header: str) -> list[str]:
    """Each mailbox of a To, Cc or Bcc header, groups included, with its decoded display name.

    Encoded words are decoded only after the split: their text may contain commas.
    BadRequestException for a header that can't be read, so that no recipient gets lost.
    """
    pairs = [(decoded(name), address) for name, address in getaddresses([header]) if address]
    if not pairs and not header.rstrip().endswith(";"):  # of a group, which may be empty
        raise _bad(f"Illegal address in '{header}'")
    return [f"{_phrase(name)} <{address}>" if name else address for name, address in pairs]


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _phrase(name: str) -> str:
    if not _SPECIALS.search(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _bad(message: str) -> AwsError:
    return AwsError("BadRequestException", message)
