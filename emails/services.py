"""Accepts email: checks domains and suppressions, and writes the rows in one transaction."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import ApiKey, Workspace
from contacts.suppressions import find_suppressed_in
from core.context import request_id
from core.db import bulk
from core.db.ids import uuid7
from core.errors import DomainError
from core.queue.wake import wake
from domains.models import Domain
from domains.services import require_sending, sending_domains
from emails.api.bodies import SendEmail
from emails.content import attachments
from emails.content.addresses import Mailbox, identity
from emails.facts.constructors import resolved, scheduled, suppressed
from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailAttachment, EmailRecipient
from emails.providers import installed_provider

SEND = "emails.tasks.send_due_emails"


class ApiKeyDomainRestricted(DomainError):
    name = "api_key_domain_restricted"
    status = 403


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


def accept(key: ApiKey, requests: Sequence[SendEmail], *, is_batch: bool = False) -> list[Draft]:
    """Store all emails or none; a worker sends each when it is due.

    Suppressed recipients are dropped and published as `email.suppressed`; an email without any
    other recipient is stored with status `suppressed` and never sent. DomainNotVerified or
    ApiKeyDomainRestricted if the key may not send from a domain.
    """
    domains = _sending_domains(key, requests)
    emails = [
        _build_email(
            request, domains[request.sender.domain], pk=uuid7(), key=key, is_batch=is_batch
        )
        for request in requests
    ]
    stored = attachments.store(emails, requests)
    return _insert(_drafts(key.workspace, emails, requests), stored)


def accept_internal(domain: Domain, requests: Mapping[UUID, SendEmail]) -> list[Draft]:
    """Store email of the installation itself, each under its given id, at most once.

    Ids that already have an email are skipped. There is no lock: concurrent transactions must
    not use the same ids.
    """
    known = set(Email.objects.filter(pk__in=list(requests)).values_list("pk", flat=True))
    new = {pk: request for pk, request in requests.items() if pk not in known}
    if not new:
        return []
    emails = [_build_email(request, domain, pk=pk) for pk, request in new.items()]
    return _insert(_drafts(domain.workspace, emails, list(new.values())))


def check_domains(key: ApiKey, requests: Sequence[SendEmail]) -> list[DomainError | None]:
    """For each request, the error why the key may not send from its From domain, or None."""
    domains = sending_domains(key.workspace, (request.sender.domain for request in requests))
    problems: list[DomainError | None] = []
    for request in requests:
        try:
            _require_permission(key, domains.get(request.sender.domain), request.sender.domain)
            problems.append(None)
        except DomainError as error:
            problems.append(error)
    return problems


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
        wake(SEND)
    return count


def resolve(emails: Sequence[Email], *, was_sent: bool) -> int:
    """Mark unknown sends as sent or as failed, by an operator's decision; the number of emails."""
    with transaction.atomic():
        unknown = Email.objects.filter(
            pk__in=[email.pk for email in emails], status=Email.Status.UNKNOWN
        )
        rows = list(unknown.order_by("pk").select_for_update(of=("self",)).values_list("pk"))
        record_facts([resolved(pk, was_sent=was_sent) for (pk,) in rows])
    return len(rows)


def _sending_domains(key: ApiKey, requests: Sequence[SendEmail]) -> dict[str, Domain]:
    names = {request.sender.domain for request in requests}
    domains = sending_domains(key.workspace, names)
    return {name: _require_permission(key, domains.get(name), name) for name in names}


def _require_permission(key: ApiKey, domain: Domain | None, name: str) -> Domain:
    usable = require_sending(domain, name)
    if key.domain_id is not None and key.domain_id != usable.pk:
        raise ApiKeyDomainRestricted(
            f"This API key may not send from `{name}`: it is restricted to another domain."
        )
    return usable


def _drafts(
    workspace: Workspace, emails: Sequence[Email], requests: Sequence[SendEmail]
) -> list[Draft]:
    mailboxes = [request.recipients() for request in requests]
    origins = find_suppressed_in(
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
            wake(SEND)
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
    request: SendEmail,
    domain: Domain,
    *,
    pk: UUID,
    key: ApiKey | None = None,
    is_batch: bool = False,
) -> Email:
    now, at = timezone.now(), request.scheduled_at
    by_kind: dict[str, list[str]] = {"to": [], "cc": [], "bcc": []}
    for kind, box in request.recipients():
        by_kind[kind].append(str(box))
    may_track = key is not None  # email of the installation itself is not tracked
    return Email(
        id=pk,
        workspace_id=domain.workspace_id,
        api_key_id=key.pk if key else None,
        domain_id=domain.pk,
        provider=domain.provider or installed_provider(),
        region=domain.region,
        configuration_set=domain.ses_configuration_set_name,
        is_batch=is_batch,
        sender=str(request.sender),
        **by_kind,
        reply_to=_unique(request.reply_to),
        subject=request.subject,
        html=request.html or "",
        text=request.text or "",
        headers=request.headers,
        tags={tag.name: tag.value for tag in request.tags},
        attachment_count=len(request.attachments),
        open_tracking=may_track and domain.open_tracking,
        click_tracking=may_track and domain.click_tracking,
        unsubscribe=request.unsubscribe,
        message_id=f"<{pk}@{request.sender.domain}>",
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
