"""Records facts about emails: fact rows, recipients' statuses and events in one transaction.

The send worker records the provider's answers, `ingest` what the provider reports later. Rows of
emails are locked in the order of their ids, so batches that share emails never deadlock.
"""

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from psycopg import sql

from contacts.suppressions import (
    SuppressionRequest,
    correct_soft_bounces,
    lock_suppressions,
    suppress,
)
from core.addresses import is_simulated, simulator_address
from core.db import bulk
from core.db.ids import uuid7
from emails.content.addresses import identity
from emails.event_types import build_event_data
from emails.facts.ses_list import find_suppressing
from emails.facts.soft_bounces import DELIVERED, Address, review_soft_bounces
from emails.facts.states import RANK, State, email_status, fold
from emails.models import Email, EmailEvent, EmailRecipient
from events.services import Fact, publish

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailFact:
    """One fact about one email, and its consequences.

    `recipient` is an address, or "" for all recipients; `status` is their new status, or "".
    Facts with the same type, recipient and `key` (such as an SES feedback id) are duplicates.
    `event_data` holds the sub-objects of the event's data. `accepted_at` is when the provider
    accepted the email, if the fact proves that it did. `counts_against_address` is false for a soft
    bounce that is about the message: it never leads to a suppression.
    """

    email_id: UUID
    type: str
    occurred_at: datetime
    recipient: str = ""
    status: str = ""
    detail: str = ""
    key: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    event_data: dict[str, Any] = field(default_factory=dict)
    suppress_as: str = ""
    counts_against_address: bool = True
    is_published: bool = True
    provider_message_id: str = ""
    message_id: str = ""
    accepted_at: datetime | None = None
    provider_response: str = ""

    @property
    def fingerprint(self) -> str:
        parts = "\n".join((self.type, identity(self.recipient), self.key))
        return hashlib.sha256(parts.encode()).hexdigest()


def record_facts(facts: Sequence[EmailFact]) -> set[UUID]:
    """Apply the facts; the ids of the emails that exist.

    Duplicates of recorded facts change nothing and publish nothing. The number of statements
    doesn't grow with the batch.
    """
    if not facts:
        return set()
    with transaction.atomic():
        emails = _lock_emails({fact.email_id for fact in facts})
        if not emails:
            return set()
        before = {email.pk: _state(email) for email in emails.values()}
        recipients = _recipients(emails)
        known = _use_spelling(
            [fact for fact in facts if fact.email_id in emails],
            recipients,
        )
        new = _insert_new(known, emails)
        refuted = _late_deliveries(new, emails, recipients)
        _update_provider_fields(known, emails)
        _update_statuses(known, emails, recipients)
        _update_emails([email for email in emails.values() if _state(email) != before[email.pk]])
        _increment_counters(list(new.values()))
        _suppress_recipients(new, emails, refuted)
        publish(
            [
                _event(fact_id, fact, emails[fact.email_id])
                for fact_id, fact in new.items()
                if fact.is_published
            ]
        )
        if logger.isEnabledFor(logging.DEBUG):
            transaction.on_commit(lambda: _log(new.values(), emails), robust=True)
        return set(emails)


def _lock_emails(ids: set[UUID]) -> dict[UUID, Email]:
    rows = Email.objects.without_content().filter(pk__in=ids).order_by("pk")
    return {email.pk: email for email in rows.select_for_update(of=("self",))}


def _recipients(emails: dict[UUID, Email]) -> dict[UUID, list[EmailRecipient]]:
    by_email: defaultdict[UUID, list[EmailRecipient]] = defaultdict(list)
    for recipient in EmailRecipient.objects.filter(email__in=list(emails)):
        by_email[recipient.email_id].append(recipient)
    return by_email


def _use_spelling(
    facts: Sequence[EmailFact], recipients: dict[UUID, list[EmailRecipient]]
) -> list[EmailFact]:
    """Spell addresses like the email's recipients; an address that is none becomes lower case."""
    groups = recipients.items()
    test_names = {email_id: names for email_id, group in groups if (names := _test_names(group))}
    spellings = {
        (email_id, name): address
        for email_id, names in test_names.items()
        for name, address in names.items()
    } | {
        (email_id, identity(recipient.address)): recipient.address
        for email_id, group in groups
        for recipient in group
    }
    spelled = (
        replace(fact, recipient=spellings.get((fact.email_id, address), address))
        if (address := identity(fact.recipient))
        else fact
        for fact in facts
    )
    return [_as_written(fact, test_names.get(fact.email_id)) for fact in spelled]


def _test_names(recipients: Iterable[EmailRecipient]) -> dict[str, str]:
    """The test addresses among the recipients, by what the mailbox simulator calls them."""
    names = ((simulator_address(each.address), each.address) for each in recipients)
    return {identity(name): address for name, address in names if name != address}


def _as_written(fact: EmailFact, names: dict[str, str] | None) -> EmailFact:
    """The fact with the caller's test addresses in what the provider reported."""
    if not names:
        return fact

    def rename(value: Any) -> Any:
        if isinstance(value, str):
            return names.get(identity(value), value)
        if isinstance(value, list):
            return [rename(each) for each in value]
        if isinstance(value, dict):
            return {key: rename(each) for key, each in value.items()}
        return value

    return replace(fact, payload=rename(fact.payload), event_data=rename(fact.event_data))


def _insert_new(facts: Sequence[EmailFact], emails: dict[UUID, Email]) -> dict[UUID, EmailFact]:
    """Insert the facts that are no duplicates; these, by the ids of their rows."""
    first: dict[tuple[UUID, str], EmailFact] = {}
    for fact in facts:
        first.setdefault((fact.email_id, fact.fingerprint), fact)
    now = timezone.now()
    by_id = {uuid7(): (fingerprint, fact) for (_, fingerprint), fact in first.items()}
    rows = [
        {
            "id": fact_id,
            "email_id": fact.email_id,
            "workspace_id": emails[fact.email_id].workspace_id,
            "type": fact.type,
            "recipient": fact.recipient,
            "status": fact.status,
            "fingerprint": fingerprint,
            "payload": fact.payload,
            "counts_against_address": fact.counts_against_address,
            "occurred_at": fact.occurred_at,
            "received_at": now,
        }
        for fact_id, (fingerprint, fact) in by_id.items()
    ]
    inserted = bulk.insert_ignoring_conflicts(EmailEvent, rows)
    return {fact_id: fact for fact_id, (_, fact) in by_id.items() if fact_id in inserted}


def _update_provider_fields(facts: Sequence[EmailFact], emails: dict[UUID, Email]) -> None:
    """The first provider ids win, and the earliest `sent_at`."""
    for fact in facts:
        email = emails[fact.email_id]
        if fact.provider_message_id and not email.provider_message_id:
            email.provider_message_id = fact.provider_message_id
            email.message_id = fact.message_id or email.message_id
        if fact.provider_response:
            email.provider_response, email.last_error = fact.provider_response, ""
        if fact.accepted_at and (email.sent_at is None or fact.accepted_at < email.sent_at):
            email.sent_at = fact.accepted_at


def _update_statuses(
    facts: Sequence[EmailFact],
    emails: dict[UUID, Email],
    recipients: dict[UUID, list[EmailRecipient]],
) -> None:
    """Fold the facts into the recipients' statuses, and these into the emails' statuses."""
    states = _states(facts)
    by_email = {email_id: recipients[email_id] for email_id, _ in states if email_id in recipients}
    changed: list[dict[str, Any]] = []
    for email_id, group in by_email.items():
        for recipient in group:
            own = states[email_id, identity(recipient.address)] + states[email_id, ""]
            before = State(recipient.status, recipient.status_at, recipient.detail)
            after = fold(before, own)
            if after != before:
                recipient.status, recipient.status_at, recipient.detail = after
                changed.append(
                    {
                        "id": recipient.pk,
                        "status": after.status,
                        "status_at": after.at,
                        "detail": after.detail,
                    }
                )
        _update_email_status(emails[email_id], group)
    _update_recipients(changed)


def _states(facts: Sequence[EmailFact]) -> defaultdict[tuple[UUID, str], list[State]]:
    """By email and address, or "" for all recipients.

    The provider reports only on accepted emails, so a bounce of one recipient proves that the
    email was sent to the others as well.
    """
    states: defaultdict[tuple[UUID, str], list[State]] = defaultdict(list)
    for fact in facts:
        if fact.accepted_at:
            states[fact.email_id, ""].append(State(Email.Status.SENT.value, fact.accepted_at))
        if fact.status:
            state = State(fact.status, fact.occurred_at, fact.detail[:1000])
            states[fact.email_id, identity(fact.recipient)].append(state)
    return states


def _update_recipients(changed: list[dict[str, Any]]) -> None:
    bulk.update_each(
        EmailRecipient,
        changed,
        sets=sql.SQL("status = new.status, status_at = new.status_at, detail = new.detail"),
    )


def _update_email_status(email: Email, recipients: Sequence[EmailRecipient]) -> None:
    """An email with any other status than queued is done, even if a retry was due."""
    status = email_status(recipient.status for recipient in recipients)
    if status != Email.Status.QUEUED:
        email.status, email.next_attempt_at = status, None


_COUNTERS = {"opened": "opens", "clicked": "clicks"}
_UPDATED_FIELDS = (
    *("status", "provider_message_id", "message_id"),
    *("sent_at", "provider_response", "last_error"),
)


def _state(email: Email) -> dict[str, Any]:
    return {
        "id": email.pk,
        **{name: getattr(email, name) for name in _UPDATED_FIELDS},
        "is_done": email.next_attempt_at is None,
    }


def _update_emails(emails: Sequence[Email]) -> None:
    work_columns = sql.SQL(
        "next_attempt_at = CASE WHEN NOT new.is_done THEN old.next_attempt_at END,"
        " crashes = CASE WHEN new.is_done THEN 0 ELSE old.crashes END"
    )
    columns = (sql.SQL("{0} = new.{0}").format(sql.Identifier(name)) for name in _UPDATED_FIELDS)
    bulk.update_each(
        Email,
        [_state(email) for email in emails],
        sets=sql.SQL(", ").join([work_columns, *columns]),
        carried={"is_done": "boolean"},
    )


def _increment_counters(new: Sequence[EmailFact]) -> None:
    """Count the opens and clicks; those not classified as a machine's also count as human."""
    added: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    for fact in new:
        if column := _COUNTERS.get(fact.type):
            added[fact.email_id][column] += 1
            added[fact.email_id][f"human_{column}"] += not fact.payload.get("machine")
    if not added:
        return
    columns = [f"{kind}{name}" for name in _COUNTERS.values() for kind in ("", "human_")]
    bulk.update_each(
        Email,
        [
            {"id": email_id, **{column: counts[column] for column in columns}}
            for email_id, counts in added.items()
        ],
        sets=sql.SQL(", ").join(
            sql.SQL("{0} = old.{0} + new.{0}").format(sql.Identifier(column)) for column in columns
        ),
    )


def _late_deliveries(
    new: dict[UUID, EmailFact],
    emails: dict[UUID, Email],
    recipients: dict[UUID, list[EmailRecipient]],
) -> set[Address]:
    """Addresses whose delivery is recorded after a soft bounce of the same email.

    Reads the recipients' statuses before they change: a bounce that is already recorded left one of
    at least its rank. So the usual delivery costs no statement.
    """
    bounced = {
        (recipient.email_id, recipient.address)
        for group in recipients.values()
        for recipient in group
        if RANK[recipient.status] >= RANK["soft_bounced"] and recipient.status != DELIVERED
    }
    return {
        (emails[fact.email_id].workspace_id, identity(fact.recipient))
        for fact in new.values()
        if fact.type == DELIVERED and (fact.email_id, fact.recipient) in bounced
    }


def _suppress_recipients(
    new: dict[UUID, EmailFact], emails: dict[UUID, Email], refuted: set[Address]
) -> None:
    requests = [
        SuppressionRequest(
            workspace_id=emails[fact.email_id].workspace_id,
            email=identity(fact.recipient),
            origin=fact.suppress_as,
            at=fact.occurred_at,
            email_id=fact.email_id,
            event_id=fact_id,
        )
        for fact_id, fact in find_suppressing(new, emails).items()
    ]
    soft_bounced = {
        (emails[fact.email_id].workspace_id, identity(fact.recipient))
        for fact in new.values()
        if fact.status == "soft_bounced" and not is_simulated(fact.recipient)
    }
    review = review_soft_bounces(soft_bounced, refuted)
    requests += review.requests
    if review.corrections:
        lock_suppressions(
            {*review.corrections, *((each.workspace_id, each.email) for each in requests)}
        )
    suppress(requests)
    correct_soft_bounces(review.corrections)


def _event(fact_id: UUID, fact: EmailFact, email: Email) -> Fact:
    recipient = fact.recipient or _only_recipient(email)
    return Fact(
        "email." + fact.type,
        email.workspace_id,
        build_event_data(email, recipient=recipient, **fact.event_data),
        id=fact_id,
        domain_id=email.domain_id,
        request_id=email.request_id,
    )


def _only_recipient(email: Email) -> str:
    """The address for a fact without a recipient, if the email has exactly one."""
    everybody = email.to + email.cc + email.bcc
    if len(everybody) != 1:
        return ""
    return everybody[0].rpartition("<")[2].rstrip(">")


def _log(new: Iterable[EmailFact], emails: dict[UUID, Email]) -> None:
    for fact in new:
        extra = {
            "request_id": emails[fact.email_id].request_id,
            "email": str(fact.email_id),
            "type": fact.type,
        }
        logger.debug("Email fact recorded", extra=extra)
