"""Any SMTP relay (RFC 5321) with TLS. It reports nothing after it accepted a message."""

import smtplib
import ssl
import time
from collections import deque
from contextlib import suppress
from functools import cached_property
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings

from emails.providers import (
    MAX_CALL_SECONDS,
    Accepted,
    Limits,
    NotTaken,
    Outbound,
    OutcomeUnknown,
    Refused,
)

REPLY_TIMEOUT = 15.0  # seconds for each reply
MIN_DATA_SECONDS = 20.0  # that must be left to start DATA: from there on it can't be undone
KEEP_ALIVE = 30.0  # seconds for which an idle connection is reused
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


class _Relay(smtplib.SMTP):
    """A connection with a deadline for the whole call, however many recipients there are."""

    deadline = 0.0  # by time.monotonic()

    def start_deadline(self) -> None:
        self.deadline = time.monotonic() + MAX_CALL_SECONDS

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    def connect(self, *address: Any, **options: Any) -> tuple[int, bytes]:
        self.start_deadline()
        return super().connect(*address, **options)

    def send(self, s: Any) -> None:
        self._set_timeout()
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        self._set_timeout()
        return super().getreply()

    def _set_timeout(self) -> None:
        if self.sock is not None:
            if self.seconds_left <= 0:
                raise TimeoutError("the whole call took too long")
            self.sock.settimeout(min(REPLY_TIMEOUT, self.seconds_left))


class _TlsRelay(_Relay, smtplib.SMTP_SSL):
    """TLS from the start of the connection."""


class SmtpProvider:
    name = "smtp"

    def __init__(self) -> None:
        # Idle connections and since when, the last used at the end; shared by all threads.
        self._idle: deque[tuple[float, _Relay]] = deque()

    def bucket(self, region: str) -> str:
        return self.name if settings.SMTP_RATE else ""

    def prepare(self, region: str) -> None:
        """Nothing: `send` connects."""

    def limits(self, region: str) -> Limits:
        return Limits(rate=settings.SMTP_RATE)

    def send(self, message: Outbound) -> Accepted:
        relay = self._connection()
        try:
            accepted = _deliver(relay, message)
        except Exception:
            relay.close()
            raise
        self._idle.append((time.monotonic(), relay))
        return accepted

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[1].close()

    def _connection(self) -> _Relay:
        """An idle connection that still works, or a new one."""
        while True:
            try:
                since, relay = self._idle.pop()
            except IndexError:
                return self._connect()
            relay.start_deadline()
            if time.monotonic() - since < KEEP_ALIVE and _is_alive(relay):
                return relay
            relay.close()

    def _connect(self) -> _Relay:
        relay = None
        try:
            url = _configured_url()
            relay = self._open(url)
            if url.username:
                relay.login(unquote(url.username), unquote(url.password or ""))
        except (smtplib.SMTPException, OSError, ValueError) as error:
            if relay:
                relay.close()
            raise NotTaken(f"SMTP relay: {error}") from error
        return relay

    def _open(self, url: SplitResult) -> _Relay:
        host, port = str(url.hostname), url.port or _PORTS[url.scheme]
        if url.scheme == "smtps":
            return _TlsRelay(host, port, timeout=REPLY_TIMEOUT, context=self._tls)
        relay = _Relay(host, port, timeout=REPLY_TIMEOUT)
        if url.scheme == "smtp+starttls":
            try:
                relay.starttls(context=self._tls)
            except Exception:
                relay.close()
                raise
        return relay

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def parse_url(url: str) -> SplitResult:
    """The parts of an SMTP_URL; ValueError, a phrase about the setting, if it can't be used."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL with a valid host and port") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("must start with smtp+starttls://, smtps:// or smtp://")
    if parts.scheme == "smtp" and not _is_loopback(parts.hostname):
        raise ValueError("may be smtp:// for this host only; any other host needs TLS")
    return parts


def _configured_url() -> SplitResult:
    try:
        return parse_url(settings.SMTP_URL)
    except ValueError as error:
        raise ValueError(f"SMTP_URL {error}") from None


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _is_alive(relay: smtplib.SMTP) -> bool:
    try:
        return relay.noop()[0] == 250
    except (smtplib.SMTPException, OSError):
        return False


def _deliver(relay: _Relay, message: Outbound) -> Accepted:
    """Any failure before DATA is sent means that nobody got the message."""
    try:
        refused = _send_envelope(relay, message)
    except (smtplib.SMTPException, OSError) as error:
        raise NotTaken(f"SMTP relay: {error}") from error
    if relay.seconds_left < MIN_DATA_SECONDS:
        raise NotTaken("SMTP relay: accepting the recipients took too long")
    try:
        code, reply = relay.data(message.mime)
    except smtplib.SMTPDataError as error:  # the relay refuses the DATA command
        raise _classify(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError) as error:
        raise OutcomeUnknown(f"SMTP relay: {error}") from error
    if code != 250:
        raise _classify(code, reply)
    return Accepted(
        provider_message_id="",
        message_id=message.message_id,
        provider_response={"code": code, "reply": _text(reply)},
        refused=refused,
    )


def _send_envelope(relay: smtplib.SMTP, message: Outbound) -> dict[str, str]:
    """MAIL FROM and RCPT TO; the refused recipients with the relay's replies."""
    relay.ehlo_or_helo_if_needed()
    options = [f"SIZE={len(message.mime)}"] if relay.has_extn("size") else []
    code, reply = relay.mail(message.sender, options)
    if code != 250:
        raise _classify(code, reply)
    recipients = [*message.to, *message.cc, *message.bcc]
    refused: dict[str, tuple[int, bytes]] = {}
    for address in recipients:
        code, reply = relay.rcpt(address)
        if code == 421:  # the relay closes the connection (RFC 5321 section 3.8)
            raise _classify(code, reply)
        if code not in (250, 251):
            refused[address] = code, reply
    if len(refused) == len(recipients):
        # The lowest code decides: if any refusal is temporary (4xx), a retry may succeed.
        raise _classify(*min(refused.values()))
    return {address: f"{code} {_text(reply)}" for address, (code, reply) in refused.items()}


def _classify(code: int, reply: bytes | str) -> Exception:
    reason = f"{code} {_text(reply)}"
    return Refused(reason) if 500 <= code < 600 else NotTaken(reason)


def _text(reply: bytes | str) -> str:
    text = reply.decode("ascii", "replace") if isinstance(reply, bytes) else reply
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")  # which PostgreSQL cannot store
