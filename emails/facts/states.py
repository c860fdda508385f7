"""How facts become statuses, independent of the order and the repetition of the facts.

A recipient's status is the highest-ranked status of its facts, and the latest among equals.
It is a maximum, so the same facts give the same status in any order.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

RANK = {
    "queued": 0,  # also while the email is scheduled or being sent
    "cancelled": 5,  # any proof that the email was sent outranks it
    "sent": 10,
    "delivery_delayed": 20,  # SES: DeliveryDelay
    "soft_bounced": 30,
    "delivered": 40,
    "suppressed": 45,  # never sent to, so it outranks everything up to `delivered`
    "failed": 50,
    "bounced": 60,
    "complained": 70,
}
FAILURES = frozenset({"soft_bounced", "suppressed", "failed", "bounced", "complained"})


class State(NamedTuple):
    """One recipient's status, since when, and the reason."""

    status: str
    at: datetime | None = None
    detail: str = ""

    def weight(self) -> tuple[int, float, str]:
        return RANK[self.status], self.at.timestamp() if self.at else 0.0, self.detail


def fold(current: State, facts: Iterable[State]) -> State:
    return max((current, *facts), key=State.weight)


def email_status(recipients: Iterable[str]) -> str:
    """One email's status from its recipients'.

    If all recipients failed, the highest-ranked failure; else the highest-ranked status of the
    recipients that did not fail.
    """
    statuses = set(recipients)
    underway = statuses - FAILURES
    return max(underway or statuses, key=lambda status: RANK[status])
