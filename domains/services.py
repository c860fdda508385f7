"""The verbs on domains. Every change and the event that tells it commit together."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Workspace
from core.db.hot_queries import Lookup
from core.errors import Conflict, DomainError, NotFound
from core.queue.wake import wake
from domains import identities
from domains.identities import IdentityMissing, IdentityStatus, IdentityUnavailable
from domains.models import DnsRecord, Domain
from domains.snapshots import snapshot
from events.services import Fact, publish

CHECK = "domains.tasks.check_due_domains"
_OF_WORKSPACE = Lookup(
    Domain,
    "row.workspace_id = %(workspace)s AND row.deleted_at IS NULL AND row.name = ANY(%(names)s)",
)
_SHOWN_AS = {"sending": "capabilities", "receiving": "capabilities"}


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
    """Write the domain down; its identity at SES is made by `establish` or by the worker.

    DomainTaken when the name exists, whoever has it.
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
        _tell("domain.created", domain)
        wake(CHECK)
    return domain


def establish(domain: Domain) -> Domain:
    """Make the identity at SES if need be and take over what SES says of it.

    When SES doesn't answer, the domain keeps its status and shows the reason; the worker tries
    again. No transaction is open during the calls. NotFound when it was removed meanwhile.
    """
    try:
        if not domain.dkim_tokens:
            _make_identity(domain)
        try:
            found = identities.check_domain_status(domain)
        except IdentityMissing:  # somebody removed it at AWS
            _make_identity(domain)
            found = identities.check_domain_status(domain)
        return take_over(domain, found)
    except IdentityUnavailable as error:
        Domain.objects.filter(pk=domain.pk).update(reason=str(error)[:1000])
        domain.reason = str(error)[:1000]
        return domain


@transaction.atomic
def take_over(domain: Domain, found: IdentityStatus) -> Domain:
    """Write SES's verdict; publishes `domain.updated` when the status changed.

    NotFound when the domain was removed while SES was asked.
    """
    domain = _locked(domain)
    previous, domain.status, domain.reason = domain.status, found.status, ""
    if found.verified and domain.verified_at is None:
        domain.verified_at = timezone.now()
    domain.save(update_fields=["status", "reason", "verified_at"])
    domain.records.filter(purpose=DnsRecord.Purpose.DKIM).update(status=found.dkim_status)
    if domain.status != previous:
        _tell("domain.updated", domain, previous_status=previous, changed_fields=["status"])
    return domain


@transaction.atomic
def update_domain(domain: Domain, changes: Mapping[str, Any]) -> Domain:
    """Write the columns that `changes` names; publishes `domain.updated` if a value is new.

    Holds for mail that is accepted from then on. NotFound when the domain was removed.
    """
    domain = _locked(domain)
    changed = [name for name, value in changes.items() if getattr(domain, name) != value]
    for name in changed:
        setattr(domain, name, changes[name])
    if changed:
        domain.save(update_fields=changed)
        # By the names that the API shows; several columns can be one of its fields.
        fields = dict.fromkeys(_SHOWN_AS.get(name, name) for name in changed)
        _tell("domain.updated", domain, previous_status=domain.status, changed_fields=list(fields))
    return domain


def check_now(domains: Iterable[Domain]) -> int:
    """Let a worker ask SES about the domains at once, not at their planned time; how many."""
    with transaction.atomic():
        wanted = Domain.objects.filter(pk__in=[domain.pk for domain in domains])
        count = wanted.update(next_attempt_at=Now())
        wake(CHECK)
    return count


def delete_domain(domain: Domain) -> None:
    """Stop using the domain now; its identity at SES is removed here or by the worker."""
    with transaction.atomic():
        live = Domain.objects.filter(pk=domain.pk, deleted_at=None)
        # One claim more, so that a check in progress can't put the removal off.
        if not live.update(deleted_at=Now(), next_attempt_at=Now(), claims=F("claims") + 1):
            return
        _tell("domain.deleted", domain)
        wake(CHECK)
    remove_identity(domain)


def remove_identity(domain: Domain) -> bool:
    """Whether the domain of a deleted row is gone at SES, and so the row as well."""
    try:
        identities.delete_domain_identity(domain)
    except IdentityUnavailable as error:
        Domain.objects.filter(pk=domain.pk).update(reason=str(error)[:1000])
        return False
    Domain.objects.filter(pk=domain.pk).delete()
    return True


def owns(workspace: Workspace, domain_id: UUID) -> bool:
    return Domain.objects.for_workspace(workspace).filter(pk=domain_id).exists()


def sending_domains(workspace: Workspace, names: Iterable[str]) -> dict[str, Domain]:
    """By name, those of the names that this workspace has; see `require_sending`."""
    found = _OF_WORKSPACE(workspace=workspace.pk, names=list(set(names)))
    return {domain.name: domain for domain in found}


def require_sending(domain: Domain | None, name: str) -> Domain:
    """The domain if mail may leave from it; else DomainNotVerified says what to do."""
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


def _make_identity(domain: Domain) -> None:
    _keep_tokens(domain, identities.create_domain_identity(domain))


def _locked(domain: Domain) -> Domain:
    live = Domain.objects.select_for_update().filter(pk=domain.pk, deleted_at=None).first()
    if live is None:
        raise NotFound(f"The domain `{domain.name}` was removed.")
    return live


@transaction.atomic
def _keep_tokens(domain: Domain, tokens: list[str]) -> None:
    domain = _locked(domain)
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


def _tell(type_name: str, domain: Domain, **more: Any) -> None:
    data = snapshot(domain) | more
    publish([Fact(type_name, domain.workspace_id, data, domain_id=domain.pk)])
