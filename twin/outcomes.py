"""What becomes of a message, decided by each recipient's address."""

from dataclasses import dataclass
from enum import StrEnum

_SIMULATOR = "simulator.amazonses.com"


class Outcome(StrEnum):
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    SOFT_BOUNCED = "soft_bounced"
    OUT_OF_OFFICE = "out_of_office"
    COMPLAINED = "complained"
    SUPPRESSED = "suppressed"
    ON_ACCOUNT_LIST_FOR_BOUNCE = "on_account_list_for_bounce"
    ON_ACCOUNT_LIST_FOR_COMPLAINT = "on_account_list_for_complaint"
    DELAYED = "delayed"
    REJECTED = "rejected"
    RENDERING_FAILED = "rendering_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event to come: its type as the API names it and seconds after the send."""

    event_type: str
    after: float
    outcome: Outcome
    recipients: list[str]


# AWS SES guide, "Using the mailbox simulator"; labels as in bounce+x@ are allowed.
_BY_SIMULATOR_NAME = {
    "bounce": Outcome.BOUNCED,
    "ooto": Outcome.OUT_OF_OFFICE,
    "complaint": Outcome.COMPLAINED,
    "suppressionlist": Outcome.SUPPRESSED,
}
_BY_DOMAIN = {
    "bounce.twin.test": Outcome.BOUNCED,
    "softbounce.twin.test": Outcome.SOFT_BOUNCED,
    "complaint.twin.test": Outcome.COMPLAINED,
    "delay.twin.test": Outcome.DELAYED,
    "reject.twin.test": Outcome.REJECTED,
    "renderingfailure.twin.test": Outcome.RENDERING_FAILED,
}
_BY_REASON = {
    "BOUNCE": Outcome.ON_ACCOUNT_LIST_FOR_BOUNCE,
    "COMPLAINT": Outcome.ON_ACCOUNT_LIST_FOR_COMPLAINT,
}
_REASONS = {Outcome.BOUNCED: "BOUNCE", Outcome.COMPLAINED: "COMPLAINT"}
_STEPS: dict[Outcome, tuple[tuple[str, float], ...]] = {
    Outcome.DELIVERED: (("DELIVERY", 0.05),),
    Outcome.BOUNCED: (("BOUNCE", 0.05),),
    Outcome.SOFT_BOUNCED: (("BOUNCE", 0.05),),
    Outcome.SUPPRESSED: (("BOUNCE", 0.05),),
    Outcome.ON_ACCOUNT_LIST_FOR_BOUNCE: (("BOUNCE", 0.05),),
    Outcome.ON_ACCOUNT_LIST_FOR_COMPLAINT: (("COMPLAINT", 0.05),),
    Outcome.OUT_OF_OFFICE: (("DELIVERY", 0.05), ("BOUNCE", 0.15)),
    Outcome.COMPLAINED: (("DELIVERY", 0.05), ("COMPLAINT", 0.15)),
    Outcome.DELAYED: (("DELIVERY_DELAY", 0.05), ("DELIVERY", 1.0)),
}


def outcome_of(address: str) -> Outcome:
    local, _, domain = address.lower().rpartition("@")
    if domain == _SIMULATOR:
        name = local.partition("+")[0]
        return _BY_SIMULATOR_NAME.get(name, Outcome.DELIVERED)
    return _BY_DOMAIN.get(domain, Outcome.DELIVERED)


def suppression_reason(address: str) -> str:
    """Why SES suppresses the address after mail to it; empty when it doesn't.

    The mailbox simulator's addresses are never suppressed.
    """
    if address.lower().endswith(f"@{_SIMULATOR}"):
        return ""
    return _REASONS.get(outcome_of(address), "")


def steps_for(recipients: list[str], suppressed: dict[str, str]) -> list[Step]:
    """The events of one message, in their natural order; `suppressed` maps recipients to reasons.

    Recipients of one domain share an event, as they share an SMTP session. A rejection or a
    failed rendering is about the whole message.
    """
    groups: dict[tuple[Outcome, str], list[str]] = {}
    for address in recipients:
        reason = suppressed.get(address)
        outcome = _BY_REASON[reason] if reason else outcome_of(address)
        key = outcome, address.rpartition("@")[2].lower()
        groups.setdefault(key, []).append(address)
    outcomes = {outcome for outcome, _ in groups}
    if Outcome.RENDERING_FAILED in outcomes:
        return [_whole("RENDERING_FAILURE", 0, Outcome.RENDERING_FAILED, recipients)]
    send = _whole("SEND", 0, Outcome.DELIVERED, recipients)
    if Outcome.REJECTED in outcomes:
        return [send, _whole("REJECT", 0.05, Outcome.REJECTED, recipients)]
    later = [
        Step(event_type=event_type, after=after, outcome=outcome, recipients=addresses)
        for (outcome, _), addresses in groups.items()
        for event_type, after in _STEPS[outcome]
    ]
    return [send, *sorted(later, key=lambda step: step.after)]


def _whole(event_type: str, after: float, outcome: Outcome, recipients: list[str]) -> Step:
    return Step(event_type=event_type, after=after, outcome=outcome, recipients=recipients)
