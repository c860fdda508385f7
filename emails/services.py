"""Accepts email: checks domains and suppressions, and writes the rows in one transaction."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from accounts.access import Access
from accounts.models import Workspace
from contacts.suppressions import find_suppressed_addresses
from core.context import request_id
from core.db import bulk
from core.db.ids import uuid7
from core.errors import DomainError
from core.queue.wake import wake
from domains.models import Domain
from domains.services import require_sending, sending_domains
from emails import queues
from emails.content import attachments
from emails.content.addresses import Mailbox, identity
from emails.content.outgoing_message import OutgoingMessage
from emails.facts.constructors import resolved, scheduled, suppressed
from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailAttachment, EmailQuerySet, EmailRecipient
from emails.providers import installed_provider


class ApiKeyDomainRestricted(DomainError):
    name = "api_key_domain_restricted"
    status = 403

    @classmethod
    def of(cls, name: str) -> Self:
        return cls(f"This API key may not send from `{name}`: it is restricted to another domain.")


@dataclass(frozen=True, slots=True)
class Draft:
    """An email and its recipients before they are inserted."""

    email: Email
    recipients: list[EmailRecipient]
    # Suppressed addresses of the workspace in lower case, with the origin of the suppression.
    origins: dict[str, str]

    def suppressed(self) -> dict[str, str]:
        """The suppressed recipients, with the origin of the suppression."""
        return {
            each.address: self.origins[identity(each.address)]
            for each in self.recipients
            if identity(each.address) in self.origins
        }

    @property
    def has_no_recipients(self) -> bool:
        return len(self.suppressed()) == len(self.recipients)


class RecipientSuppressed(DomainError):
    """The email is stored with status `suppressed` and is never sent."""

    name = "recipient_suppressed"

    def __init__(self, draft: Draft) -> None:
        super().__init__(
            "Every recipient is on the suppression list.",
            details={"email_id": str(draft.email.pk), "recipients": draft.suppressed()},
        )


def accept(
    access: Access, messages: Sequence[OutgoingMessage], *, is_batch: bool = False
) -> list[Draft]:
    """Store all emails or none; a worker sends each when it is due.

    Suppressed recipients are dropped and published as `email.suppressed`; an email without any
    other recipient is stored with status `suppressed` and never sent. DomainNotVerified or
    ApiKeyDomainRestricted if the caller may not send from a domain. Messages are not validated
    here: see OutgoingMessage.check.
    """
    domains = require_domains(access, {message.sender.domain for message in messages})
    emails = [
        _build_email(
            message, domains[message.sender.domain], pk=uuid7(), access=access, is_batch=is_batch
        )
        for message in messages
    ]
    stored = attachments.store(emails, messages)
    return _insert(_drafts(access.workspace, emails, messages), stored)


def accept_internal(domain: Domain, messages: Mapping[UUID, OutgoingMessage]) -> list[Draft]:
    """Store email of the installation itself, each under its given id, at most once.

    It is not tracked. Ids that already have an email are skipped. There is no lock: concurrent
    transactions must not use the same ids.
    """
    known = set(Email.objects.filter(pk__in=list(messages)).values_list("pk", flat=True))
    new = {pk: message for pk, message in messages.items() if pk not in known}
    if not new:
        return []
    emails = [_build_email(message, domain, pk=pk) for pk, message in new.items()]
    stored = attachments.store(emails, list(new.values()))
    return _insert(_drafts(domain.workspace, emails, list(new.values())), stored)


def check_domains(access: Access, names: Sequence[str]) -> list[DomainError | None]:
    """For each From domain, the error why the caller may not send from it, or None."""
    domains = sending_domains(access.workspace, names)
    problems: list[DomainError | None] = []
    for name in names:
        try:
            _require_domain(access, domains.get(name), name)
            problems.append(None)
        except DomainError as error:
            problems.append(error)
    return problems


def require_domains(access: Access, names: set[str]) -> dict[str, Domain]:
    """The domains by name; DomainNotVerified or ApiKeyDomainRestricted unless the caller may send
    from all of them."""
    domains = sending_domains(access.workspace, names)
    return {name: _require_domain(access, domains.get(name), name) for name in names}


def retry_now(emails: Sequence[Email]) -> int:
    """Make queued and unknown sends due now; the number of emails."""
    with transaction.atomic():
        retriable = Email.objects.filter(
            pk__in=[email.pk for email in emails],
            status__in=[Email.Status.QUEUED, Email.Status.UNKNOWN],
        )
        count = retriable.update(
            status=Email.Status.QUEUED, next_attempt_at=Now(), first_attempt_at=None
        )
        wake(queues.SEND.task)
    return count


def hold(owner: str, *, reason: str) -> int:
    """Keep back all mail of this owner that is certainly not sent; the number of emails.

    Mail in flight is left alone, and so is mail that an earlier attempt may have sent. Mail that is
    accepted or deferred later is not held: the caller must refuse the one, and hold again for the
    other. Held mail fails as `held_expired` after HOLD_MAX_AGE; holding again doesn't prolong that.
    """
    return _hold(Email.objects.owned_by(owner), reason)


def release(owner: str) -> int:
    """Make the owner's held mail due at its scheduled time, or now; the number of emails."""
    return _release(Email.objects.owned_by(owner))


def hold_emails(emails: Sequence[Email], reason: str) -> int:
    """Like `hold`, for the emails that an operator chose, whoever owns them."""
    return _hold(Email.objects.filter(pk__in=[email.pk for email in emails]), reason)


def release_emails(emails: Sequence[Email]) -> int:
    """Like `release`, for the emails that an operator chose."""
    return _release(Email.objects.filter(pk__in=[email.pk for email in emails]))


def resolve(emails: Sequence[Email], *, was_sent: bool) -> int:
    """Mark unknown sends as sent or as failed, by an operator's decision; the number of emails."""
    with transaction.atomic():
        unknown = Email.objects.filter(
            pk__in=[email.pk for email in emails], status=Email.Status.UNKNOWN
        )
        rows = list(unknown.order_by("pk").select_for_update(of=("self",)).values_list("pk"))
        record_facts([resolved(pk, was_sent=was_sent) for (pk,) in rows])
    return len(rows)


def _require_domain(access: Access, domain: Domain | None, name: str) -> Domain:
    usable = require_sending(domain, name)
    if access.domain_id is not None and access.domain_id != usable.pk:
        raise ApiKeyDomainRestricted.of(name)
    return usable


def _drafts(
    workspace: Workspace, emails: Sequence[Email], messages: Sequence[OutgoingMessage]
) -> list[Draft]:
    mailboxes = [message.recipients for message in messages]
    origins = find_suppressed_addresses(
        workspace, {identity(box.address) for boxes in mailboxes for _, box in boxes}
    )
    drafts = []
    for email, boxes in zip(emails, mailboxes, strict=True):
        recipients = [
            EmailRecipient(id=uuid7(), email_id=email.pk, kind=kind, address=box.address)
            for kind, box in boxes
        ]
        drafts.append(Draft(email, recipients, origins))
    return drafts


def _insert(drafts: list[Draft], stored: Sequence[EmailAttachment] = ()) -> list[Draft]:
    facts = [fact for draft in drafts for fact in _initial_facts(draft)]
    # Most email has no facts yet, and bulk.insert alone is atomic anyway.
    with transaction.atomic() if facts else nullcontext():
        bulk.insert(
            [draft.email for draft in drafts],
            [recipient for draft in drafts for recipient in draft.recipients],
            stored,
        )
        record_facts(facts)
        if any(draft.email.status == Email.Status.QUEUED for draft in drafts):
            wake(queues.SEND.task)
    return drafts


def _initial_facts(draft: Draft) -> list[EmailFact]:
    dropped = [
        suppressed(draft.email, address=address, origin=origin)
        for address, origin in draft.suppressed().items()
    ]
    at = draft.email.scheduled_at
    return (
        dropped if at is None or draft.has_no_recipients else [scheduled(draft.email, at), *dropped]
    )


def _build_email(
    message: OutgoingMessage,
    domain: Domain,
    *,
    pk: UUID,
    access: Access | None = None,
    is_batch: bool = False,
) -> Email:
    now, at = timezone.now(), message.scheduled_at
    by_kind: dict[str, list[str]] = {"to": [], "cc": [], "bcc": []}
    for kind, box in message.recipients:
        by_kind[kind].append(str(box))
    may_track = access is not None  # email of the installation itself is not tracked
    return Email(
        id=pk,
        workspace_id=domain.workspace_id,
        api_key_id=access.api_key_id if access else None,
        domain_id=domain.pk,
        provider=domain.provider or installed_provider(),
        region=domain.region,
        configuration_set=domain.ses_configuration_set_name,
        is_batch=is_batch,
        owner=message.owner,
        sender=str(message.sender),
        **by_kind,
        reply_to=_unique(message.reply_to),
        subject=message.subject,
        html=message.html,
        text=message.text,
        headers=dict(message.headers),
        tags=dict(message.tags),
        attachment_count=len(message.attachments),
        open_tracking=may_track and domain.open_tracking,
        click_tracking=may_track and domain.click_tracking,
        unsubscribe=message.unsubscribe,
        message_id=f"<{pk}@{message.sender.domain}>",
        request_id=request_id.get(),
        status=Email.Status.SCHEDULED if at else Email.Status.QUEUED,
        scheduled_at=at,
        created_at=now,
        next_attempt_at=at or now,
    )


def _unique(boxes: Sequence[Mailbox]) -> list[str]:
    first: dict[str, str] = {}
    for box in boxes:
        first.setdefault(identity(box.address), str(box))
    return list(first.values())


def _hold(emails: EmailQuerySet, reason: str) -> int:
    with transaction.atomic():
        return _in_lock_order(emails.certainly_unsent()).update(
            status=Email.Status.HELD,
            hold_reason=reason[:200],  # as long as the column
            next_attempt_at=Now() + settings.HOLD_MAX_AGE,
        )


def _release(emails: EmailQuerySet) -> int:
    is_later = When(scheduled_at__gt=Now(), then=Value(Email.Status.SCHEDULED))
    with transaction.atomic():
        count = _in_lock_order(emails.filter(status=Email.Status.HELD)).update(
            status=Case(is_later, default=Value(Email.Status.QUEUED)),
            hold_reason="",
            next_attempt_at=Greatest(Now(), F("scheduled_at")),
            first_attempt_at=None,  # the hold doesn't count towards SEND_GIVE_UP_AFTER
        )
        if count:
            wake(queues.SEND.task)
    return count


def _in_lock_order(emails: EmailQuerySet) -> EmailQuerySet:
    """The same emails; an UPDATE locks them in the order of their ids, like record_facts.

    A worker's claim skips the rows that are locked here. A row that it claimed first no longer
    fulfils the condition once it can be locked.
    """
    return Email.objects.filter(pk__in=emails.order_by("pk").select_for_update().values("pk"))
