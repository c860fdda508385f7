"""Taking in what is known about emails: facts, recipients' statuses and events in one transaction.

The send worker reports what the provider answered, ingest what it said later. Rows of emails
are locked in the order of their ids, so batches that share emails wait for each other and never
deadlock.
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

from contacts.suppressions import SIMULATOR, SuppressionRequest, suppress
from core.db import bulk
from core.db.ids import uuid7
from emails.content.addresses import identity
from emails.facts.event_data import about
from emails.facts.soft_bounces import soft_bounce_suppressions
from emails.facts.states import State, email_status, fold
from emails.models import Email, EmailEvent, EmailRecipient
from events.services import Fact, publish

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailFact:
    """One fact about one email, and what it means.

    `recipient` is an address or "" for all of them; `status` what it brings them, or "".
    `key` tells this fact from others of its type (a feedback id, say); reports with the same
    type, recipient and key are one fact. `webhook` are the sub-objects for the event's data.
    `taken_at` is when the provider took the email, if the report proves that it did.
    """

    email_id: UUID
    type: str
    occurred_at: datetime
    recipient: str = ""
    status: str = ""
    detail: str = ""
    key: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    webhook: dict[str, Any] = field(default_factory=dict)
    suppress_as: str = ""
    is_published: bool = True
    provider_message_id: str = ""
    message_id: str = ""
    taken_at: datetime | None = None
    provider_response: str = ""

    @property
    def fingerprint(self) -> str:
        parts = "\n".join((self.type, identity(self.recipient), self.key))
        return hashlib.sha256(parts.encode()).hexdigest()


def record_facts(reports: Sequence[EmailFact]) -> set[UUID]:
    """Write what the reports bring; the ids of the emails that exist.

    The number of statements doesn't grow with the batch. Reports that were taken in before
    change nothing and publish nothing.
    """
    if not reports:
        return set()
    with transaction.atomic():
        emails = _locked({report.email_id for report in reports})
        if not emails:
            return set()
        before = {email.pk: _state(email) for email in emails.values()}
        recipients = _recipients(emails)
        known = _spelled([each for each in reports if each.email_id in emails], recipients)
        fresh = _keep(known, emails)
        _identify(known, emails)
        _advance(known, emails, recipients)
        _write([email for email in emails.values() if _state(email) != before[email.pk]])
        _count(list(fresh.values()))
        _suppress(fresh, emails)
        publish(
            [
                _told(key, report, emails[report.email_id])
                for key, report in fresh.items()
                if report.is_published
            ]
        )
        if logger.isEnabledFor(logging.DEBUG):
            transaction.on_commit(lambda: _log(fresh.values(), emails), robust=True)
        return set(emails)


def _locked(ids: set[UUID]) -> dict[UUID, Email]:
    rows = Email.objects.without_content().filter(pk__in=ids).order_by("pk")
    return {email.pk: email for email in rows.select_for_update(of=("self",))}


def _recipients(emails: dict[UUID, Email]) -> dict[UUID, list[EmailRecipient]]:
    found: defaultdict[UUID, list[EmailRecipient]] = defaultdict(list)
    for recipient in EmailRecipient.objects.filter(email__in=list(emails)):
        found[recipient.email_id].append(recipient)
    return found


def _spelled(
    reports: Sequence[EmailFact], recipients: dict[UUID, list[EmailRecipient]]
) -> list[EmailFact]:
    """The reports with addresses as the mail has them, in lower case when it doesn't."""
    spellings = {
        (email_id, identity(each.address)): each.address
        for email_id, group in recipients.items()
        for each in group
    }
    return [
        replace(report, recipient=spellings.get((report.email_id, address), address))
        if (address := identity(report.recipient))
        else report
        for report in reports
    ]


def _keep(reports: Sequence[EmailFact], emails: dict[UUID, Email]) -> dict[UUID, EmailFact]:
    """Insert the facts; those of the reports that were new, the first of each, by their ids."""
    first: dict[tuple[UUID, str], EmailFact] = {}
    for report in reports:
        first.setdefault((report.email_id, report.fingerprint), report)
    now = timezone.now()
    by_id = {uuid7(): (fingerprint, report) for (_, fingerprint), report in first.items()}
    rows = [
        {
            "id": key,
            "email_id": report.email_id,
            "workspace_id": emails[report.email_id].workspace_id,
            "type": report.type,
            "recipient": report.recipient,
            "status": report.status,
            "fingerprint": fingerprint,
            "payload": report.payload,
            "occurred_at": report.occurred_at,
            "received_at": now,
        }
        for key, (fingerprint, report) in by_id.items()
    ]
    written = bulk.insert_ignoring_conflicts(EmailEvent, rows)
    return {key: report for key, (_, report) in by_id.items() if key in written}


def _identify(reports: Sequence[EmailFact], emails: dict[UUID, Email]) -> None:
    """Note the provider's ids where they are not known yet, and when the email first left."""
    for report in reports:
        email = emails[report.email_id]
        if report.provider_message_id and not email.provider_message_id:
            email.provider_message_id = report.provider_message_id
            email.message_id = report.message_id or email.message_id
        if report.provider_response:
            email.provider_response, email.last_error = report.provider_response, ""
        if report.taken_at and (email.sent_at is None or report.taken_at < email.sent_at):
            email.sent_at = report.taken_at


def _advance(
    reports: Sequence[EmailFact],
    emails: dict[UUID, Email],
    recipients: dict[UUID, list[EmailRecipient]],
) -> None:
    """Fold the reports into the recipients' statuses, and those into the emails'."""
    facts = _facts(reports)
    by_email = {email_id: recipients[email_id] for email_id, _ in facts if email_id in recipients}
    changed: list[dict[str, Any]] = []
    for email_id, group in by_email.items():
        for recipient in group:
            own = facts[email_id, identity(recipient.address)] + facts[email_id, ""]
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
        _go_on(emails[email_id], group)
    _write_recipients(changed)


def _facts(reports: Sequence[EmailFact]) -> defaultdict[tuple[UUID, str], list[State]]:
    """By email and address, or "" for all of them. What the provider reports it has sent, so a
    bounce of one recipient proves that the email went to the others as well."""
    facts: defaultdict[tuple[UUID, str], list[State]] = defaultdict(list)
    for report in reports:
        if report.taken_at:
            facts[report.email_id, ""].append(State(Email.Status.SENT.value, report.taken_at))
        if report.status:
            state = State(report.status, report.occurred_at, report.detail[:1000])
            facts[report.email_id, identity(report.recipient)].append(state)
    return facts


def _write_recipients(changed: list[dict[str, Any]]) -> None:
    bulk.update_each(
        EmailRecipient,
        changed,
        sets=sql.SQL("status = new.status, status_at = new.status_at, detail = new.detail"),
    )


def _go_on(email: Email, recipients: Sequence[EmailRecipient]) -> None:
    """An email that got anywhere is no longer due, even if it was about to be sent again."""
    status = email_status(recipient.status for recipient in recipients)
    if status != Email.Status.QUEUED:
        email.status, email.next_attempt_at = status, None


_COUNTED = {"opened": "opens", "clicked": "clicks"}
_WRITTEN = (
    *("status", "provider_message_id", "message_id"),
    *("sent_at", "provider_response", "last_error"),
)


def _state(email: Email) -> dict[str, Any]:
    return {
        "id": email.pk,
        **{name: getattr(email, name) for name in _WRITTEN},
        "is_done": email.next_attempt_at is None,
    }


def _write(emails: Sequence[Email]) -> None:
    own = sql.SQL(
        "next_attempt_at = CASE WHEN NOT new.is_done THEN old.next_attempt_at END,"
        " crashes = CASE WHEN new.is_done THEN 0 ELSE old.crashes END"
    )
    columns = (sql.SQL("{0} = new.{0}").format(sql.Identifier(name)) for name in _WRITTEN)
    bulk.update_each(
        Email,
        [_state(email) for email in emails],
        sets=sql.SQL(", ").join([own, *columns]),
        carried={"is_done": "boolean"},
    )


def _count(fresh: Sequence[EmailFact]) -> None:
    """Add the opens and clicks; people's are those that no machine's sign was seen of."""
    added: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    for report in fresh:
        if column := _COUNTED.get(report.type):
            added[report.email_id][column] += 1
            added[report.email_id][f"human_{column}"] += not report.payload.get("machine")
    if not added:
        return
    columns = [f"{kind}{name}" for name in _COUNTED.values() for kind in ("", "human_")]
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


def _suppress(fresh: dict[UUID, EmailFact], emails: dict[UUID, Email]) -> None:
    causes = [
        SuppressionRequest(
            workspace_id=emails[report.email_id].workspace_id,
            email=identity(report.recipient),
            origin=report.suppress_as,
            at=report.occurred_at,
            email_id=report.email_id,
            event_id=key,
        )
        for key, report in fresh.items()
        if report.suppress_as and report.recipient
    ]
    soft = {
        (emails[report.email_id].workspace_id, identity(report.recipient))
        for report in fresh.values()
        if report.status == "soft_bounced" and not identity(report.recipient).endswith(SIMULATOR)
    }
    suppress(causes + soft_bounce_suppressions(soft))


def _told(fact_id: UUID, report: EmailFact, email: Email) -> Fact:
    named = report.recipient or _only_recipient(email)
    data = about(email, recipient=named, **report.webhook)
    return Fact(
        "email." + report.type,
        email.workspace_id,
        data,
        id=fact_id,
        domain_id=email.domain_id,
        request_id=email.request_id,
    )


def _only_recipient(email: Email) -> str:
    """An event that names nobody concerns the one recipient, if there is just one."""
    everybody = email.to + email.cc + email.bcc
    if len(everybody) != 1:
        return ""
    return everybody[0].rpartition("<")[2].rstrip(">")


def _log(fresh: Iterable[EmailFact], emails: dict[UUID, Email]) -> None:
    for report in fresh:
        extra = {
            "request_id": emails[report.email_id].request_id,
            "email": str(report.email_id),
            "type": report.type,
        }
        logger.debug("An email went on", extra=extra)
