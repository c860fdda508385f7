"""Faults that a test or a bench switches on: what to break, and the answer while it is broken."""

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from twin.aws import AwsError


@dataclass(slots=True)
class FaultSettings:
    """Rates count recipients a second, the quota recipients a day; None enforces nothing."""

    send_rate: float | None = None
    daily_quota: int | None = None
    latency_ms: float = 0
    throttle: float = 0
    drop_events: float = 0
    duplicate_events: float = 0
    delay_events_ms: float = 0
    reorder_events: bool = False
    fail_calls: dict[str, str] = field(default_factory=dict)


class InvalidFaultError(ValueError):
    """An unknown fault, or a value that it can't have."""


class Faults:
    def __init__(self) -> None:
        self.settings = FaultSettings()

    def change(self, changes: dict[str, Any]) -> None:
        """Set what is named and leave the rest; nothing changes when one of them is refused."""
        known = {each.name for each in fields(FaultSettings)}
        for name, value in changes.items():
            if name not in known:
                raise InvalidFaultError(f"unknown fault: {name}")
            if not _RULES[name](value):
                raise InvalidFaultError(f"bad value for {name}: {value!r}")
        for name, value in changes.items():
            setattr(self.settings, name, value)

    def reset(self) -> None:
        self.settings = FaultSettings()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self.settings)

    def check(self, operation: str) -> None:
        """Raise the error that is switched on for this operation."""
        code = self.settings.fail_calls.get(operation)
        if code is not None:
            raise AwsError(code, f"{operation} fails by request", status=_status_of(code))
        if operation == "SendEmail" and happens(self.settings.throttle):
            message = "Maximum sending rate exceeded."
            raise AwsError("TooManyRequestsException", message, status=429)


def happens(probability: float) -> bool:
    # random() never reaches 1.0, so that 1 is always and 0 is never.
    return random.random() < probability


def _status_of(code: str) -> int:
    if code.startswith(("TooManyRequests", "Throttling")):
        return 429
    if code.startswith(("Internal", "ServiceUnavailable", "ServiceFailure")):
        return 503 if "Unavailable" in code else 500
    return 404 if code.startswith("NotFound") else 400


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _is_limit(value: object) -> bool:
    return value is None or _is_number(value)


def _is_whole_limit(value: object) -> bool:
    return value is None or (isinstance(value, int) and _is_number(value))


def _is_probability(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and value <= 1


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_names(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(text, str) and text for pair in value.items() for text in pair
    )


_RULES: dict[str, Callable[[object], bool]] = {
    "send_rate": _is_limit,
    "daily_quota": _is_whole_limit,
    "latency_ms": _is_number,
    "throttle": _is_probability,
    "drop_events": _is_probability,
    "duplicate_events": _is_probability,
    "delay_events_ms": _is_number,
    "reorder_events": _is_bool,
    "fail_calls": _is_names,
}
