"""Accepting mail: what is valid, allowed and not suppressed becomes rows in one transaction."""

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
from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailAttachment, EmailRecipient
from emails.providers import installed_provider
from emails.scheduling import scheduled
from emails.sending.suppression_check import suppressed

SEND = "emails.tasks.send_due_emails"


class ApiKeyDomainRestricted(DomainError):
    name = "api_key_domain_restricted"
    status = 403


@dataclass(frozen=True, slots=True)
class Draft:
    """An email and its recipients on the way to becoming rows."""

    email: Email
    recipients: list[EmailRecipient]
    # Lower-case addresses that get no mail, with the origin of their suppression.
    stopped: dict[str, str]

    def suppressed(self) -> dict[str, str]:
        """The addresses among the recipients that are dropped, with the reason."""
        return {
            each.address: self.stopped[identity(each.address)]
            for each in self.recipients
            if identity(each.address) in self.stopped
        }

    @property
    def has_no_recipients(self) -> bool:
        return len(self.suppressed()) == len(self.recipients)


def accept(key: ApiKey, requests: Sequence[SendEmail], *, is_batch: bool = False) -> list[Draft]:
    """Write the emails down, all of them or none; they are sent by a worker, each when it is due.

    Suppressed recipients are dropped and told as `email.suppressed`; an email with no other
    recipient is kept with status `suppressed` and never sent. DomainNotVerified or
    ApiKeyDomainRestricted when the key may not send from a domain.
    """
    domains = _sending_domains(key, requests)
    emails = [
        _email(request, domains[request.sender.domain], pk=uuid7(), key=key, is_batch=is_batch)
        for request in requests
    ]
    attached = attachments.stored(emails, requests)
    return _write(_draft(key.workspace, emails, requests), attached)


def accept_internal(domain: Domain, requests: Mapping[UUID, SendEmail]) -> list[Draft]:
    """Write mail of the installation itself down, each email under its given id and only once.

    For ids that no two transactions come with at the same time: ids that have an email already
    are left out, without a lock.
    """
    known = set(Email.objects.filter(pk__in=list(requests)).values_list("pk", flat=True))
    new = {pk: request for pk, request in requests.items() if pk not in known}
    if not new:
        return []
    emails = [_email(request, domain, pk=pk) for pk, request in new.items()]
    return _write(_draft(domain.workspace, emails, list(new.values())))


def require_domains(key: ApiKey, requests: Sequence[SendEmail]) -> list[DomainError | None]:
    """For each request, why its From domain may not be sent from, or None when it may."""
    found = sending_domains(key.workspace, (request.sender.domain for request in requests))
    problems: list[DomainError | None] = []
    for request in requests:
        try:
            _permitted(key, found.get(request.sender.domain), request.sender.domain)
            problems.append(None)
        except DomainError as error:
            problems.append(error)
    return problems


def retry_now(emails: Sequence[Email]) -> int:
    """Send what waits for its next attempt, or is in doubt, at once; how many there were."""
    with transaction.atomic():
        wanted = Email.objects.filter(
            pk__in=[email.pk for email in emails],
            status__in=[Email.Status.QUEUED, Email.Status.UNKNOWN],
        )
        made_due = wanted.update(
            status=Email.Status.QUEUED, next_attempt_at=Now(), first_attempt_at=None
        )
        wake(SEND)
    return made_due


def resolve(emails: Sequence[Email], *, was_sent: bool) -> int:
    """Settle what is in doubt by what somebody found out: as sent or as failed; how many."""
    with transaction.atomic():
        doubted = Email.objects.filter(
            pk__in=[email.pk for email in emails], status=Email.Status.UNKNOWN
        )
        found = list(doubted.order_by("pk").select_for_update(of=("self",)).values_list("pk"))
        record_facts([_decided(pk, was_sent=was_sent) for (pk,) in found])
    return len(found)


def _merged(boxes: Sequence[Mailbox]) -> list[str]:
    found: dict[str, str] = {}
    for box in boxes:
        found.setdefault(identity(box.address), str(box))
    return list(found.values())


def _decided(email_id: UUID, *, was_sent: bool) -> EmailFact:
    told = {"reason": "An operator decided that the provider never took it."}
    return EmailFact(
        email_id=email_id,
        type="sent" if was_sent else "failed",
        status=(Email.Status.SENT if was_sent else Email.Status.FAILED).value,
        detail="" if was_sent else told["reason"],
        occurred_at=timezone.now(),
        taken_at=timezone.now() if was_sent else None,
        payload={} if was_sent else told,
        webhook={} if was_sent else {"failed": told},
    )


def _sending_domains(key: ApiKey, requests: Sequence[SendEmail]) -> dict[str, Domain]:
    names = {request.sender.domain for request in requests}
    found = sending_domains(key.workspace, names)
    return {name: _permitted(key, found.get(name), name) for name in names}


def _permitted(key: ApiKey, domain: Domain | None, name: str) -> Domain:
    usable = require_sending(domain, name)
    if key.domain_id is not None and key.domain_id != usable.pk:
        raise ApiKeyDomainRestricted(
            f"This API key may not send from `{name}`: it is restricted to another domain."
        )
    return usable


def _draft(
    workspace: Workspace, emails: Sequence[Email], requests: Sequence[SendEmail]
) -> list[Draft]:
    named = [request.recipients() for request in requests]
    stopped = find_suppressed_in(
        workspace, {identity(box.address) for boxes in named for _, box in boxes}
    )
    drafts = []
    for email, boxes in zip(emails, named, strict=True):
        recipients = [
            EmailRecipient(id=uuid7(), email_id=email.pk, kind=kind, address=box.address)
            for kind, box in boxes
        ]
        drafts.append(Draft(email, recipients, stopped))
    return drafts


def _write(drafts: list[Draft], attached: Sequence[EmailAttachment] = ()) -> list[Draft]:
    reports = [report for draft in drafts for report in _reports(draft)]
    # Most mail has nothing to tell yet, and its rows are written all or none anyway.
    with transaction.atomic() if reports else nullcontext():
        bulk.insert(
            [draft.email for draft in drafts],
            [recipient for draft in drafts for recipient in draft.recipients],
            attached,
        )
        record_facts(reports)
        if any(draft.email.status == Email.Status.QUEUED for draft in drafts):
            wake(SEND)
    return drafts


def _reports(draft: Draft) -> list[EmailFact]:
    dropped = [
        suppressed(draft.email, address=address, origin=origin)
        for address, origin in draft.suppressed().items()
    ]
    at = draft.email.scheduled_at
    return (
        dropped if at is None or draft.has_no_recipients else [scheduled(draft.email, at), *dropped]
    )


def _email(
    request: SendEmail,
    domain: Domain,
    *,
    pk: UUID,
    key: ApiKey | None = None,
    is_batch: bool = False,
) -> Email:
    now, at = timezone.now(), request.scheduled_at
    named: dict[str, list[str]] = {"to": [], "cc": [], "bcc": []}
    for kind, box in request.recipients():
        named[kind].append(str(box))
    is_customers = key is not None  # nobody follows the installation's own mail
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
        **named,
        reply_to=_merged(request.reply_to),
        subject=request.subject,
        html=request.html or "",
        text=request.text or "",
        headers=request.headers,
        tags={tag.name: tag.value for tag in request.tags},
        attachment_count=len(request.attachments),
        open_tracking=is_customers and domain.open_tracking,
        click_tracking=is_customers and domain.click_tracking,
        unsubscribe=request.unsubscribe,
        message_id=f"<{pk}@{request.sender.domain}>",
        request_id=request_id.get(),
        status=Email.Status.SCHEDULED if at else Email.Status.QUEUED,
        scheduled_at=at,
        created_at=now,
        next_attempt_at=at or now,
    )
