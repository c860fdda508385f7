"""`/domains`: sending domains."""

from typing import Literal

from pydantic import BaseModel
from rest_framework.response import Response

from accounts import views
from accounts.authentication import ApiRequest
from accounts.idempotency import idempotent
from accounts.views import ApiView
from core.api.bodies import parse
from core.api.openapi import IDEMPOTENCY_KEY, PAGE, describe, list_of
from core.api.pagination import page
from domains import services
from domains.api.bodies import CreateDomain, UpdateDomain
from domains.models import Domain, DomainQuerySet
from domains.snapshots import snapshot
from events.payloads.domains import DomainOut


class DomainDeleted(BaseModel):
    object: Literal["domain"] = "domain"
    id: str
    deleted: Literal[True] = True


class DomainsView(ApiView):
    @describe(
        "Add a domain",
        request=CreateDomain,
        response=DomainOut,
        status=201,
        parameters=[IDEMPOTENCY_KEY],
        tag="Domains",
    )
    def post(self, request: ApiRequest) -> Response:
        return idempotent(
            request,
            "POST /domains",
            lambda: self._create(request),
            # Calls SES outside any transaction; if SES is unavailable, the worker retries.
            afterwards=lambda response: snapshot(
                services.establish(find(request, response.data["id"]))
            ),
        )

    @describe("List domains", response=list_of(DomainOut), parameters=PAGE, tag="Domains")
    def get(self, request: ApiRequest) -> Response:
        return Response(page(request, visible(request).prefetch_related("records"), snapshot))

    def _create(self, request: ApiRequest) -> Response:
        body = parse(CreateDomain, request.data)
        domain = services.create_domain(
            workspace=request.auth.workspace,
            name=body.name,
            region=body.region,
            **body.columns(),
        )
        return Response(snapshot(domain), status=201)


class DomainView(ApiView):
    @describe("Get a domain", response=DomainOut, tag="Domains")
    def get(self, request: ApiRequest, domain_id: str) -> Response:
        return Response(snapshot(find(request, domain_id)))

    @describe("Change a domain", request=UpdateDomain, response=DomainOut, tag="Domains")
    def patch(self, request: ApiRequest, domain_id: str) -> Response:
        domain = find(request, domain_id)
        changes = parse(UpdateDomain, request.data).columns()
        return Response(snapshot(services.update_domain(domain, changes)))

    @describe("Remove a domain", response=DomainDeleted, tag="Domains")
    def delete(self, request: ApiRequest, domain_id: str) -> Response:
        domain = find(request, domain_id)
        services.delete_domain(domain)
        return Response(DomainDeleted(id=str(domain.pk)).model_dump())


class VerifyDomainView(ApiView):
    @describe("Verify a domain", response=DomainOut, tag="Domains")
    def post(self, request: ApiRequest, domain_id: str) -> Response:
        return Response(snapshot(services.establish(find(request, domain_id))))


def visible(request: ApiRequest) -> DomainQuerySet:
    """The domains of the caller's workspace; this API reads no others."""
    return Domain.objects.for_workspace(request.auth.workspace)


def find(request: ApiRequest, domain_id: str) -> Domain:
    return views.find(visible(request), domain_id, "domain")
