"""Creates, verifies, updates and deletes domains. Each change commits with its event."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Least, Now
from django.utils import timezone

from accounts.models import Workspace
from core.db.hot_queries import Lookup
from core.errors import Conflict, DomainError, NotFound
from core.queue.wake import wake
from core.server.waits import TooManyWaits
from domains import identities, queues
from domains.event_types import snapshot
from domains.identities import IdentityMissing, IdentityStatus, IdentityUnavailable
from domains.models import DnsRecord, Domain
from events.services import Fact, publish

_OF_WORKSPACE = Lookup(
    Domain,
    "row.workspace_id = %(workspace)s AND row.deleted_at IS NULL AND row.name = ANY(%(names)s)",
)
_API_FIELDS = {"sending": "capabilities", "receiving": "capabilities"}


class DomainTaken(Conflict):
    name = "domain_taken"


class DomainNotVerified(DomainError):
    name = "domain_not_verified"
    status = 403


def create_domain(
    *,
    workspace: Workspace,
    name: str,
    region: str | None = None,
    receiving: bool = False,
    sending: bool = True,
    open_tracking: bool = False,
    click_tracking: bool = False,
    provider: str = "",
) -> Domain:
    """Create the domain; `establish` or the worker creates its SES identity later.

    DomainTaken when the name exists in any workspace.
    """
    with transaction.atomic():
        try:
            with transaction.atomic():
                domain = Domain.objects.create(
                    workspace=workspace,
                    name=name,
                    region=region or settings.AWS_REGION,
                    ses_configuration_set_name=settings.SES_CONFIGURATION_SET,
                    status=Domain.Status.PENDING,
                    sending=sending,
                    receiving=receiving,
                    open_tracking=open_tracking,
                    click_tracking=click_tracking,
                    provider=provider,
                )
        except IntegrityError:
            raise DomainTaken(
                f"The domain `{name}` is already in use on this installation."
            ) from None
        _publish("domain.created", domain)
        wake(queues.CHECK.task)
    return domain


def verify_domain(domain: Domain) -> Domain:
    """Create the SES identity if necessary, then save its verification status.

    If SES is unavailable, the domain keeps its status and shows the reason, and the worker retries.
    No transaction is open during the calls. NotFound when the domain was removed meanwhile.
    """
    try:
        if not domain.dkim_tokens:
            _create_identity(domain)
        try:
            identity = identities.check_domain_status(domain)
        except IdentityMissing:  # it was deleted at AWS
            _create_identity(domain)
            identity = identities.check_domain_status(domain)
        return save_status(domain, identity)
    except IdentityUnavailable as error:
        Domain.objects.filter(pk=domain.pk).update(reason=str(error)[:1000])
        domain.reason = str(error)[:1000]
        return domain


@transaction.atomic
def save_status(domain: Domain, identity: IdentityStatus) -> Domain:
    """Save the status at SES; publishes `domain.updated` when it changed.

    NotFound when the domain was removed during the SES call.
    """
    domain = _lock(domain)
    previous, domain.status, domain.reason = domain.status, identity.status, ""
    if identity.verified and domain.verified_at is None:
        domain.verified_at = timezone.now()
    domain.save(update_fields=["status", "reason", "verified_at"])
    domain.records.filter(purpose=DnsRecord.Purpose.DKIM).update(status=identity.dkim_status)
    if domain.status != previous:
        _publish("domain.updated", domain, previous_status=previous, changed_fields=["status"])
    return domain


@transaction.atomic
def update_domain(domain: Domain, changes: Mapping[str, Any]) -> Domain:
    """Update the columns in `changes`; publishes `domain.updated` if a value differs.

    Applies to mail accepted from now on. NotFound when the domain was removed.
    """
    domain = _lock(domain)
    changed = [name for name, value in changes.items() if getattr(domain, name) != value]
    for name in changed:
        setattr(domain, name, changes[name])
    if changed:
        domain.save(update_fields=changed)
        # The API's field names; several columns can map to one field.
        fields = dict.fromkeys(_API_FIELDS.get(name, name) for name in changed)
        _publish(
            "domain.updated", domain, previous_status=domain.status, changed_fields=list(fields)
        )
    return domain


def check_now(domains: Iterable[Domain]) -> int:
    """Make the domains due for a check by the worker now; returns how many."""
    with transaction.atomic():
        rows = Domain.objects.filter(pk__in=[domain.pk for domain in domains])
        count = rows.update(next_attempt_at=Least("next_attempt_at", Now()))
        wake(queues.CHECK.task)
    return count


def delete_domain(domain: Domain) -> None:
    """Delete the domain now; its SES identity is deleted here or later by the worker."""
    with transaction.atomic():
        live = Domain.objects.live().filter(pk=domain.pk)
        # Increments the fencing counter, so that a running check can't defer the deletion.
        if not live.update(deleted_at=Now(), next_attempt_at=Now(), claims=F("claims") + 1):
            return
        _publish("domain.deleted", domain)
        wake(queues.CHECK.task)
    with suppress(TooManyWaits), identities.WAITS.wait(domain.workspace_id):
        delete_identity(domain)


def delete_identity(domain: Domain) -> bool:
    """Delete the SES identity, then the row; False when SES is unavailable."""
    try:
        identities.delete_domain_identity(domain)
    except IdentityUnavailable as error:
        Domain.objects.filter(pk=domain.pk).update(reason=str(error)[:1000])
        return False
    Domain.objects.filter(pk=domain.pk).delete()
    return True


def owns(workspace: Workspace, domain_id: UUID) -> bool:
    return Domain.objects.live().for_workspace(workspace).filter(pk=domain_id).exists()


def sending_domains(workspace: Workspace, names: Iterable[str]) -> dict[str, Domain]:
    """The workspace's domains among these names, by name; see `require_sending`."""
    domains = _OF_WORKSPACE(workspace=workspace.pk, names=list(set(names)))
    return {domain.name: domain for domain in domains}


def name_of(domain_id: UUID) -> str | None:
    """The name of a domain, or None once it is removed."""
    return Domain.objects.live().filter(pk=domain_id).values_list("name", flat=True).first()


def require_sending(domain: Domain | None, name: str) -> Domain:
    """The domain if it can send mail; otherwise DomainNotVerified says what to do."""
    if domain is None:
        raise DomainNotVerified(
            f"The domain `{name}` is not one of yours. Add it with POST /domains and publish "
            "its DNS records, or send from a domain that is verified."
        )
    if not domain.is_verified:
        raise DomainNotVerified(
            f"The domain `{name}` is not verified (status `{domain.status}`). Publish the DNS "
            f"records shown by GET /domains/{domain.pk}, then POST /domains/{domain.pk}/verify."
        )
    if not domain.sending:
        raise DomainNotVerified(f"Sending is switched off for the domain `{name}`.")
    return domain


def _create_identity(domain: Domain) -> None:
    _save_dkim_tokens(domain, identities.create_domain_identity(domain))


def _lock(domain: Domain) -> Domain:
    live = Domain.objects.live().select_for_update().filter(pk=domain.pk).first()
    if live is None:
        raise NotFound(f"The domain `{domain.name}` was removed.")
    return live


@transaction.atomic
def _save_dkim_tokens(domain: Domain, tokens: list[str]) -> None:
    domain = _lock(domain)
    domain.dkim_tokens = tokens
    domain.save(update_fields=["dkim_tokens"])
    domain.records.filter(purpose=DnsRecord.Purpose.DKIM).delete()
    DnsRecord.objects.bulk_create(
        [
            DnsRecord(
                domain=domain,
                purpose=DnsRecord.Purpose.DKIM,
                name=f"{token}._domainkey.{domain.name}",
                type="CNAME",
                value=f"{token}.dkim.amazonses.com",
                status=Domain.Status.PENDING,
            )
            for token in tokens
        ]
    )


def _publish(type_name: str, domain: Domain, **more: Any) -> None:
    data = snapshot(domain).model_dump() | more
    publish([Fact(type_name, domain.workspace_id, data, domain_id=domain.pk)])
