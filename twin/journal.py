"""What the twin was asked and what it accepted, in memory and bounded."""

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any

from twin.aws import iso_time

_MAX_CALLS = 20_000
_MAX_MAIL = 50_000
# Forty full-size messages must not take the laptop down with them.
_MAX_MAIL_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    service: str
    operation: str
    region: str
    at: float
    status: int
    error: str | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "service": self.service,
            "operation": self.operation,
            "region": self.region,
            "at": iso_time(self.at),
            "status": self.status,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One accepted message. `raw` is the copy that goes over the wire; `at` is Unix seconds."""

    id: str
    region: str
    at: float
    source: str
    recipients: list[str]
    tags: dict[str, str]
    configuration_set: str | None
    raw: bytes


class Journal:
    def __init__(self) -> None:
        self._calls: deque[CallRecord] = deque(maxlen=_MAX_CALLS)
        self._mail: dict[str, Mail] = {}
        self._mail_bytes = 0
        self.accepted_messages = 0
        self.accepted_recipients = 0

    def add_call(self, record: CallRecord) -> None:
        self._calls.append(record)

    def add_mail(self, mail: Mail) -> None:
        self._mail[mail.id] = mail
        self._mail_bytes += len(mail.raw)
        self.accepted_messages += 1
        self.accepted_recipients += len(mail.recipients)
        while len(self._mail) > _MAX_MAIL or self._mail_bytes > _MAX_MAIL_BYTES:
            oldest = self._mail.pop(next(iter(self._mail)))
            self._mail_bytes -= len(oldest.raw)

    def calls(self, *, operation: str | None, limit: int | None) -> list[CallRecord]:
        """Newest last."""
        newest = (each for each in reversed(self._calls) if operation in (None, "", each.operation))
        return list(islice(newest, limit))[::-1]

    def mail(self, *, recipient: str | None, limit: int | None) -> list[Mail]:
        """Newest last; the recipient's address is compared without regard to case."""
        wanted = (recipient or "").lower()
        newest = (
            each
            for each in reversed(self._mail.values())
            if not wanted or any(address.lower() == wanted for address in each.recipients)
        )
        return list(islice(newest, limit))[::-1]

    def find_mail(self, message_id: str) -> Mail | None:
        return self._mail.get(message_id)

    @property
    def kept_messages(self) -> int:
        return len(self._mail)

    def reset(self) -> None:
        self._calls.clear()
        self._mail.clear()
        self._mail_bytes = self.accepted_messages = self.accepted_recipients = 0
