"""Strict parsing of customer-supplied URLs, once, so that no two parsers can disagree."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote

import idna

from core.outbound.addresses import IPAddress, why_unsafe
from core.outbound.policy import OutboundPolicy

MAX_URL_LENGTH = 2048

_DEFAULT_PORTS = {"https": 443, "http": 80}
_FORBIDDEN = re.compile(
    r"[\x00-\x20\x7f-\xa0\\\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]"
)
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?P<port>:[0-9]*)?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# The URL standard and inet_aton(3) parse a host whose last label is a number as IPv4: 2130706433,
# 0177.0.0.1, 0x7f.1 and 127.1 all mean 127.0.0.1.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Characters that RFC 3986 allows after the host, and "%" because the URL may be encoded already.
_UNESCAPED = "/?:@!$&'()*+,;=-._~[]%"
_INTERNAL_SUFFIXES = (".local", ".internal", ".home.arpa", ".lan", ".intranet", ".corp")


class UnsafeUrl(ValueError):
    """A URL that is refused; the message says what is wrong and how to fix it.

    `code` is `unsafe_address` when the host is the problem, otherwise `invalid_url`.
    """

    def __init__(self, reason: str, *, code: str = "invalid_url") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedUrl:
    url: str
    """Normalised: ASCII only, host in lower case and IDNA-encoded, without a default port."""
    scheme: str
    host: str
    """Without brackets."""
    port: int
    address: IPAddress | None
    """Set if the host is a literal address; it has been checked."""


@lru_cache(maxsize=4096)
def check_url(url: str, policy: OutboundPolicy) -> ParsedUrl:
    """Parse a URL (RFC 3986) and check everything that needs no DNS; raises UnsafeUrl."""
    scheme, authority, rest = _split(url, policy)
    host, port = _host_and_port(authority, scheme)
    _check_port(port)
    literal = _literal(host)
    if literal is None:
        name = _name(host)
        _check_name(name, policy)
    else:
        name = str(literal)
        _check_literal(literal, policy)
    return ParsedUrl(
        url=_normalise(scheme, name, port, rest),
        scheme=scheme,
        host=name,
        port=port,
        address=literal,
    )


def _split(url: str, policy: OutboundPolicy) -> tuple[str, str, str]:
    if len(url) > MAX_URL_LENGTH:
        raise UnsafeUrl(f"The URL is longer than {MAX_URL_LENGTH} characters; use a shorter one.")
    if _FORBIDDEN.search(url):
        raise UnsafeUrl(
            "The URL contains white space, a backslash or a control character; percent-encode it."
        )
    match = _URL.fullmatch(url)
    if not match:
        raise UnsafeUrl("This is not an absolute URL; write it as https://host/path.")
    scheme, rest = match["scheme"].lower(), match["rest"]
    if scheme != "https" and not (scheme == "http" and policy.allow_http):
        allowed = "https:// or http://" if policy.allow_http else "https://"
        raise UnsafeUrl(f"URLs that start with {scheme}:// are not allowed; use {allowed}.")
    if "#" in rest:
        raise UnsafeUrl(
            "The URL has a fragment, which is never sent; remove the # and everything after it."
        )
    return scheme, match["authority"], rest


def _host_and_port(authority: str, scheme: str) -> tuple[str, int]:
    if "@" in authority:
        raise UnsafeUrl("The URL contains a user name or password; send credentials in a header.")
    match = _AUTHORITY.fullmatch(authority)
    if not match:
        raise UnsafeUrl("The host of the URL is malformed; write it as host or host:port.")
    if not match["host"]:
        raise UnsafeUrl("The URL has no host; write it as https://host/path.")
    digits = (match["port"] or "")[1:]
    if len(digits) > 5:
        raise UnsafeUrl("The port is out of range; use 443, 80 or one from 1024 to 65535.")
    return match["host"].lower(), int(digits) if digits else _DEFAULT_PORTS[scheme]


def _check_port(port: int) -> None:
    if port not in (80, 443) and not 1024 <= port <= 65535:
        raise UnsafeUrl(f"Port {port} is not allowed; use 443, 80 or one from 1024 to 65535.")


def _literal(host: str) -> IPAddress | None:
    if host.startswith("["):
        try:
            address = IPv6Address(host[1:-1])
        except AddressValueError:
            raise UnsafeUrl(f"{host} is not an IPv6 address.") from None
        if address.scope_id is not None:
            raise UnsafeUrl("An IPv6 address with a zone is local to one machine; remove the zone.")
        return address
    # IDNA maps full-width digits and dots to ASCII, so map the name before matching.
    name = _to_ascii(host)
    if not _NUMBER.fullmatch(name.rpartition(".")[2]):
        return None
    try:
        return IPv4Address(name)
    except AddressValueError:
        raise UnsafeUrl(
            f"{host} is not a host name; write an IPv4 address as four decimal numbers."
        ) from None


def _name(host: str) -> str:
    name = _to_ascii(host)
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise UnsafeUrl(f"{host[:80]} is not a valid host name.")
    return name


def _to_ascii(host: str) -> str:
    name = host
    if not host.isascii():
        try:
            name = idna.encode(host, uts46=True, std3_rules=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise UnsafeUrl(f"{host[:80]} is not a valid international host name.") from None
    return name.removesuffix(".")


def _check_name(name: str, policy: OutboundPolicy) -> None:
    if _is_localhost(name):
        reason = why_unsafe("127.0.0.1", policy) and why_unsafe("::1", policy)
    elif policy.allowed_networks:
        reason = None  # with internal networks allowed, the resolved address decides
    elif "." not in name or name.endswith(_INTERNAL_SUFFIXES):
        reason = "a name inside a private network"
    else:
        reason = None
    if reason:
        raise UnsafeUrl(f"{name} is {reason}; use a public host.", code="unsafe_address")


def _is_localhost(name: str) -> bool:
    """RFC 6761, section 6.3: these names mean loopback regardless of DNS."""
    return name in ("localhost", "localhost.localdomain") or name.endswith(".localhost")


def _check_literal(address: IPAddress, policy: OutboundPolicy) -> None:
    reason = why_unsafe(address, policy)
    if reason:
        raise UnsafeUrl(f"{address} is {reason}; use a public host.", code="unsafe_address")


def _normalise(scheme: str, host: str, port: int, rest: str) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    path = rest if rest.startswith("/") else f"/{rest}"
    return f"{scheme}://{bracketed}{suffix}{quote(path, safe=_UNESCAPED)}"
