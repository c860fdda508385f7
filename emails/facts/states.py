"""The rules by which facts become statuses. Order and repetition of the facts don't matter.

A recipient's status is the highest-ranked that any fact brought, and among equals the latest:
a maximum, so any order of the same facts gives the same status.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

RANK = {
    "queued": 0,  # also while the email is scheduled: nothing has happened to anybody yet
    "cancelled": 5,  # anything that shows that it left after all speaks against it
    "sent": 10,
    "delivery_delayed": 20,  # SES: DeliveryDelay
    "soft_bounced": 30,
    "delivered": 40,
    "suppressed": 45,  # never sent to, so nothing that comes after `sent` can be true of it
    "failed": 50,
    "bounced": 60,
    "complained": 70,
}
FAILURES = frozenset({"soft_bounced", "suppressed", "failed", "bounced", "complained"})


class State(NamedTuple):
    """How far an email got with one recipient, when that was, and the reason given."""

    status: str
    at: datetime | None = None
    detail: str = ""

    def weight(self) -> tuple[int, float, str]:
        return RANK[self.status], self.at.timestamp() if self.at else 0.0, self.detail


def fold(current: State, facts: Iterable[State]) -> State:
    return max((current, *facts), key=State.weight)


def email_status(recipients: Iterable[str]) -> str:
    """One email's status from its recipients'.

    When the email failed with all of them, the highest-ranked failure; else the furthest that
    it got with any of the others.
    """
    statuses = set(recipients)
    underway = statuses - FAILURES
    return max(underway or statuses, key=lambda status: RANK[status])
