"""`/domains`: sending domains."""

from accounts import views
from accounts.access import Access, Scope
from accounts.operation import FollowUp, operation
from accounts.views import ApiView
from core.api.dialects import Page
from core.server.waits import TooManyWaits
from domains import identities, services
from domains.api.bodies import CreateDomain, UpdateDomain
from domains.api.representations import DomainDeleted, represent
from domains.event_types import DomainOut
from domains.models import Domain, DomainQuerySet


class DomainsView(ApiView):
    tag = "Domains"

    @operation("Add a domain", needs=Scope.DOMAINS_WRITE, status=201, idempotent=True)
    def post(self, access: Access, body: CreateDomain) -> FollowUp[DomainOut]:
        domain = services.create_domain(
            workspace=access.workspace, name=body.name, region=body.region, **body.columns()
        )
        # Calls SES outside any transaction; if SES is unavailable or busy, the worker does it.
        return FollowUp(represent(domain), lambda: _created(access, str(domain.pk)))

    @operation("List domains", needs=Scope.DOMAINS_READ)
    def get(self, access: Access) -> Page[DomainOut]:
        return self.page(visible(access).prefetch_related("records"), represent)


class DomainView(ApiView):
    tag = "Domains"

    @operation("Get a domain", needs=Scope.DOMAINS_READ)
    def get(self, access: Access, domain_id: str) -> DomainOut:
        return represent(find(access, domain_id))

    @operation("Change a domain", needs=Scope.DOMAINS_WRITE)
    def patch(self, access: Access, body: UpdateDomain, domain_id: str) -> DomainOut:
        return represent(services.update_domain(find(access, domain_id), body.columns()))

    @operation("Remove a domain", needs=Scope.DOMAINS_WRITE)
    def delete(self, access: Access, domain_id: str) -> DomainDeleted:
        domain = find(access, domain_id)
        services.delete_domain(domain)
        return DomainDeleted(id=str(domain.pk))


class VerifyDomainView(ApiView):
    tag = "Domains"

    @operation("Verify a domain", needs=Scope.DOMAINS_WRITE)
    def post(self, access: Access, domain_id: str) -> DomainOut:
        return _establish(access, domain_id)


def visible(access: Access) -> DomainQuerySet:
    """The only way this API reaches domains: the live ones of the caller's workspace."""
    return Domain.objects.live().visible_to(access)


def find(access: Access, domain_id: str) -> Domain:
    return views.find(visible(access), domain_id, "domain")


def _created(access: Access, domain_id: str) -> DomainOut:
    try:
        return _establish(access, domain_id)
    except TooManyWaits:
        return represent(find(access, domain_id))


def _establish(access: Access, domain_id: str) -> DomainOut:
    domain = find(access, domain_id)
    with identities.WAITS.wait(access.workspace.pk):
        domain = services.verify_domain(domain)
    return represent(domain)
