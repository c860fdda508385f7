"""What an installation accepts from SNS, and how a refusal looks."""

import re
from dataclasses import dataclass
from datetime import timedelta

_LOOPBACK_ORIGIN = re.compile(r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?")


class Rejected(Exception):
    """The message is not taken. `status` is the HTTP answer, `name` its stable code.

    SNS repeats a delivery only after a 5xx (AWS: "Amazon SNS message delivery retries"),
    so 4xx means "never again" and 503 "try later".
    """

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.message = message


@dataclass(frozen=True, slots=True)
class SnsPolicy:
    """Which messages are welcome.

    `cert_origin` replaces scheme and host of every certificate URL when it is fetched, for a
    stand-in of AWS on this machine. Whoever serves there can sign for any topic, so an origin
    that is not loopback raises ValueError.
    """

    topic_arns: frozenset[str]
    require_v2: bool
    max_age: timedelta
    cert_origin: str | None

    def __post_init__(self) -> None:
        if self.cert_origin is not None and not _LOOPBACK_ORIGIN.fullmatch(self.cert_origin):
            raise ValueError(f"cert_origin must be a loopback origin, not {self.cert_origin!r}")
