"""The kinds of SES events, and the facts that they report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from contacts.models import Suppression
from core.db.json_values import as_text
from emails.event_types import (
    Click,
    ComplainedRecipient,
    Complaint,
    DelayedRecipient,
    Delivery,
    DeliveryDelay,
    Hit,
    Reject,
    RenderingFailure,
)
from emails.facts.record import EmailFact
from emails.models import Email
from events.payloads import ProviderObject
from ingest.ses_events.bounces import (
    PERMANENT,
    bounce_subtype,
    bounce_type,
    is_about_mailbox,
    suppression_origin,
)
from ingest.ses_events.fields import canonical
from ingest.ses_events.recipients import Entry
from tracking.bot_detection import classify

Status = Email.Status

# A fact without what the facts of one event share: the email, its ids, when SES accepted it.
Draft = partial[EmailFact]

_MAX_DETAIL = 1000
_ADDRESS = "emailAddress"


class Reported(NamedTuple):
    """What an event says about one recipient, or about all of them.

    `body` is its sub-object, `published` the same as the catalogue documents it, and `entry` what
    it says about this recipient only.
    """

    body: dict[str, Any]
    published: dict[str, Any]
    entry: Entry
    at: datetime


@dataclass(frozen=True, slots=True)
class Kind:
    """One event type: its name, the key of its sub-object, and the fact about one recipient.

    `named_in` is the list in the sub-object that names the recipients; without it the fact is about
    all of them. `model` documents the sub-object, `entry_model` an entry of that list.
    """

    name: str
    key: str
    draft: Callable[[Reported], Draft]
    model: type[ProviderObject] = ProviderObject
    named_in: str = ""
    entry_model: type[ProviderObject] | None = None

    def published(self, body: dict[str, Any], entries: Sequence[Entry]) -> dict[str, Any]:
        """The sub-object as the catalogue documents it, without unreadable entries."""
        published = self.model.conform(body)
        named = [entry.fields for entry in entries if isinstance(entry.fields.get(_ADDRESS), str)]
        if self.entry_model:
            published[self.named_in] = [self.entry_model.conform(fields) for fields in named]
        elif self.named_in:
            published[self.named_in] = [fields[_ADDRESS] for fields in named]
        return published


def _detail(*values: Any) -> str:
    """The first of the values that is neither null nor empty, as text."""
    return next(filter(None, map(as_text, values)), "")[:_MAX_DETAIL]


def _sent(reported: Reported) -> Draft:
    return partial(
        EmailFact,
        type="sent",
        occurred_at=reported.at,
        status=Status.SENT,
        payload=reported.body,
        event_data={"send": reported.published},
    )


def _failed(key: str, reason_in: str, default: str) -> Callable[[Reported], Draft]:
    def draft(reported: Reported) -> Draft:
        reason = as_text(reported.body.get(reason_in)) or default
        return partial(
            EmailFact,
            type="failed",
            occurred_at=reported.at,
            payload=reported.body,
            event_data={key: reported.published, "failed": {"reason": reason}},
            status=Status.FAILED,
            detail=_detail(reason),
            key=key,
        )

    return draft


def _delivered(reported: Reported) -> Draft:
    return partial(
        EmailFact,
        type="delivered",
        occurred_at=reported.at,
        payload=reported.body,
        event_data={"delivery": reported.published},
        status=Status.DELIVERED,
        detail=_detail(reported.body.get("smtpResponse")),
        key=reported.at.isoformat(),
    )


def _delayed(reported: Reported) -> Draft:
    return partial(
        EmailFact,
        type="delivery_delayed",
        occurred_at=reported.at,
        payload=reported.body,
        event_data={"deliveryDelay": reported.published},
        status=Status.DELIVERY_DELAYED,
        detail=_detail(reported.entry.fields.get("diagnosticCode"), reported.body.get("delayType")),
        key=reported.at.isoformat(),
    )


def _bounced(reported: Reported) -> Draft:
    body, entry = reported.body, reported.entry.fields
    kind, subtype = bounce_type(body), bounce_subtype(body)
    code = as_text(entry.get("diagnosticCode"))
    data = {"type": kind, "subType": subtype, "message": code or f"{kind} bounce: {subtype}"}
    return partial(
        EmailFact,
        type="bounced",
        occurred_at=reported.at,
        payload=body,
        event_data={"bounce": data | ({"diagnosticCode": code} if code else {})},
        status=Status.BOUNCED if kind == PERMANENT else Status.SOFT_BOUNCED,
        detail=_detail(code, subtype),
        key=_feedback_key(reported),
        suppress_as=suppression_origin(body, entry),
        counts_against_address=is_about_mailbox(body, entry),
    )


def _complained(reported: Reported) -> Draft:
    body = reported.body
    kind = as_text(body.get("complaintFeedbackType"))
    shared = partial(
        EmailFact,
        occurred_at=reported.at,
        payload=body,
        detail=_detail(kind, body.get("complaintSubType")),
        key=_feedback_key(reported),
    )
    if canonical(kind) == "notspam":
        # A recipient moved the email out of the spam folder. It has a type of its own, because a
        # complaint about the same email may have the same feedback id.
        return partial(shared, type="not_spam", is_published=False)
    return partial(
        shared,
        type="complained",
        event_data={"complaint": reported.published},
        status=Status.COMPLAINED,
        # A redacted complaint may be anybody's.
        suppress_as=Suppression.Origin.COMPLAINT.value if reported.entry.address else "",
    )


def _feedback_key(reported: Reported) -> str:
    """Deduplicates a report that arrives as both event and notification, with one feedbackId."""
    return as_text(reported.body.get("feedbackId")) or reported.at.isoformat()


def _open_or_click(type_name: str, key: str) -> Callable[[Reported], Draft]:
    def draft(reported: Reported) -> Draft:
        body, at = reported.body, reported.at
        user_agent = as_text(body.get("userAgent"))
        verdict = {"machine": classify(user_agent).is_machine}
        return partial(
            EmailFact,
            type=type_name,
            occurred_at=at,
            key="\n".join(
                (at.isoformat(), str(body.get("ipAddress")), str(body.get("link")), user_agent)
            ),
            payload=body | verdict,
            event_data={key: reported.published | verdict},
        )

    return draft


def _no_fact(reported: Reported) -> Draft:
    raise NotImplementedError("a subscription is about contacts, not about the email")


SUBSCRIPTION = Kind("Subscription", "subscription", _no_fact)
_KINDS = [
    Kind("Send", "send", _sent),
    Kind("Delivery", "delivery", _delivered, Delivery, "recipients"),
    Kind(
        *("DeliveryDelay", "deliveryDelay", _delayed),
        *(DeliveryDelay, "delayedRecipients", DelayedRecipient),
    ),
    Kind("Bounce", "bounce", _bounced, named_in="bouncedRecipients"),
    Kind(
        *("Complaint", "complaint", _complained),
        *(Complaint, "complainedRecipients", ComplainedRecipient),
    ),
    Kind("Reject", "reject", _failed("reject", "reason", "Rejected"), Reject),
    Kind(
        *("Rendering Failure", "failure"),
        _failed("failure", "errorMessage", "The template could not be rendered."),
        RenderingFailure,
    ),
    Kind("Open", "open", _open_or_click("opened", "open"), Hit),
    Kind("Click", "click", _open_or_click("clicked", "click"), Click),
    SUBSCRIPTION,
]
# By canonical name: `RENDERING_FAILURE`, as the API spells it, is the same as `Rendering Failure`.
KINDS: Mapping[str, Kind] = {canonical(kind.name): kind for kind in _KINDS}
