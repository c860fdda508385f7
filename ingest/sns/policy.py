"""What an installation accepts from SNS, and the error for everything else."""

import re
from dataclasses import dataclass
from datetime import timedelta

_LOOPBACK_ORIGIN = re.compile(r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?")


class Rejected(Exception):
    """The message is rejected. `status` is the HTTP status, `name` a stable error code.

    SNS retries only after a 5xx (AWS: "Amazon SNS message delivery retries"), so 4xx means
    "do not retry" and 503 "retry later".
    """

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.message = message


@dataclass(frozen=True, slots=True)
class SnsPolicy:
    """Which messages are accepted.

    `cert_origin` replaces the scheme and host of every certificate URL, for the local AWS twin.
    A server at that origin can sign for any topic, so ValueError unless it is loopback.
    """

    topic_arns: frozenset[str]
    require_v2: bool
    max_age: timedelta
    cert_origin: str | None

    def __post_init__(self) -> None:
        if self.cert_origin is not None and not _LOOPBACK_ORIGIN.fullmatch(self.cert_origin):
            raise ValueError(f"cert_origin must be a loopback origin, not {self.cert_origin!r}")
