"""Any relay that speaks SMTP (RFC 5321), with TLS. It tells no more after it took a message."""

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
    LONGEST_CALL,
    Accepted,
    Limits,
    NotTaken,
    Outbound,
    OutcomeUnknown,
    Refused,
)

TIMEOUT = 15.0  # seconds for each answer
TEXT = 20.0  # seconds that must be left when the text is begun: after it there is no way back
KEEP = 30.0  # seconds for which an idle connection is worth trying
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


class _Relay(smtplib.SMTP):
    """A connection on which everything ends in time, however many recipients there are."""

    # By time.monotonic().
    until = 0.0

    def hurry(self) -> None:
        self.until = time.monotonic() + LONGEST_CALL

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    def connect(self, *where: Any, **options: Any) -> tuple[int, bytes]:
        self.hurry()
        return super().connect(*where, **options)

    def send(self, s: Any) -> None:
        self._bound()
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        self._bound()
        return super().getreply()

    def _bound(self) -> None:
        if self.sock is not None:
            if self.left <= 0:
                raise TimeoutError("it took too long in all")
            self.sock.settimeout(min(TIMEOUT, self.left))


class _TlsRelay(_Relay, smtplib.SMTP_SSL):
    """One that speaks TLS from the start."""


class SmtpProvider:
    name = "smtp"

    def __init__(self) -> None:
        # Idle connections and since when, the last used first; shared by all threads.
        self._idle: deque[tuple[float, _Relay]] = deque()

    def bucket(self, region: str) -> str:
        return self.name if settings.SMTP_RATE else ""

    def prepare(self, region: str) -> None:
        """Connections are made by those who need them."""

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
        """Give up the idle connections."""
        while self._idle:
            self._idle.pop()[1].close()

    def _connection(self) -> _Relay:
        """One that still answers, or a new one."""
        while True:
            try:
                since, relay = self._idle.pop()
            except IndexError:
                return self._connect()
            relay.hurry()
            if time.monotonic() - since < KEEP and _answers(relay):
                return relay
            relay.close()

    def _connect(self) -> _Relay:
        url = urlsplit(settings.SMTP_URL)
        relay = None
        try:
            relay = self._greet(url)
            if url.username:
                relay.login(unquote(url.username), unquote(url.password or ""))
        except (smtplib.SMTPException, OSError, ValueError) as error:
            if relay:
                relay.close()
            raise NotTaken(f"The SMTP relay: {error}") from error
        return relay

    def _greet(self, url: SplitResult) -> _Relay:
        if url.scheme not in _PORTS or not url.hostname:
            raise ValueError("SMTP_URL must begin with smtp+starttls://, smtps:// or smtp://")
        host, port = url.hostname, url.port or _PORTS[url.scheme]
        if url.scheme == "smtp" and not _is_here(host):
            raise ValueError("SMTP_URL may be smtp:// on this host only; elsewhere it needs TLS")
        if url.scheme == "smtps":
            return _TlsRelay(host, port, timeout=TIMEOUT, context=self._tls)
        relay = _Relay(host, port, timeout=TIMEOUT)
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


def _is_here(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _answers(relay: smtplib.SMTP) -> bool:
    try:
        return relay.noop()[0] == 250
    except (smtplib.SMTPException, OSError):
        return False


def _deliver(relay: _Relay, message: Outbound) -> Accepted:
    """Until the text is handed over, whatever breaks means that nobody got anything."""
    try:
        refused = _address(relay, message)
    except (smtplib.SMTPException, OSError) as error:
        raise NotTaken(f"The SMTP relay: {error}") from error
    if relay.left < TEXT:
        raise NotTaken("The SMTP relay: it took too long over the recipients")
    try:
        code, reply = relay.data(message.mime)
    except smtplib.SMTPDataError as error:  # it did not want to begin
        raise _refusal(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError) as error:
        raise OutcomeUnknown(f"The SMTP relay: {error}") from error
    if code != 250:
        raise _refusal(code, reply)
    return Accepted(
        provider_message_id="",
        message_id=message.message_id,
        provider_response={"code": code, "reply": _text(reply)},
        refused=refused,
    )


def _address(relay: smtplib.SMTP, message: Outbound) -> dict[str, str]:
    """Name the sender and the recipients; those that were refused, with the relay's words."""
    relay.ehlo_or_helo_if_needed()
    options = [f"SIZE={len(message.mime)}"] if relay.has_extn("size") else []
    code, reply = relay.mail(message.sender, options)
    if code != 250:
        raise _refusal(code, reply)
    recipients = [*message.to, *message.cc, *message.bcc]
    refused: dict[str, tuple[int, bytes]] = {}
    for address in recipients:
        code, reply = relay.rcpt(address)
        if code == 421:  # it closes the connection (RFC 5321 section 3.8)
            raise _refusal(code, reply)
        if code not in (250, 251):
            refused[address] = code, reply
    if len(refused) == len(recipients):
        # As long as one of them may be taken later, another try is worth it.
        raise _refusal(*min(refused.values()))
    return {address: f"{code} {_text(reply)}" for address, (code, reply) in refused.items()}


def _refusal(code: int, reply: bytes | str) -> Exception:
    words = f"{code} {_text(reply)}"
    return Refused(words) if 500 <= code < 600 else NotTaken(words)


def _text(reply: bytes | str) -> str:
    return reply.decode("ascii", "replace") if isinstance(reply, bytes) else reply
