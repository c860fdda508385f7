"""`/suppressions`: suppressed addresses, by id or address, and in batches."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from accounts import views
from accounts.access import Access, Scope
from accounts.operation import operation
from accounts.views import ApiView
from contacts import suppressions
from contacts.addresses import parse_contact_address
from contacts.api.bodies import (
    AddSuppression,
    AddSuppressions,
    RemoveSuppressions,
    parse_origin,
)
from contacts.api.representations import (
    SuppressionDetail,
    SuppressionRemoved,
    SuppressionsAdded,
    SuppressionsRemoved,
    represent_removed,
)
from contacts.api.representations import represent_suppression as represent
from contacts.models import SesRemoval, Suppression, SuppressionQuerySet
from core.addresses import identity
from core.api.dialects import Page
from core.errors import NotFound, ValidationFailed
from core.times import from_iso

T = TypeVar("T")

FILTERS = [
    OpenApiParameter(
        "origin",
        OpenApiTypes.STR,
        enum=Suppression.Origin.values,
        description="only suppressions with this origin; `reason` is an alias",
    ),
    OpenApiParameter("email", OpenApiTypes.STR, description="only the suppression of this address"),
    OpenApiParameter(
        "created_after",
        OpenApiTypes.DATETIME,
        description="only suppressions created at or after this time",
    ),
    OpenApiParameter(
        "created_before",
        OpenApiTypes.DATETIME,
        description="only suppressions created before this time",
    ),
]


class SuppressionsView(ApiView):
    tag = "Suppressions"

    @operation("Suppress an address", needs=Scope.SUPPRESSIONS_WRITE, idempotent=True)
    def post(self, access: Access, body: AddSuppression) -> SuppressionDetail:
        (row,) = _suppress(access, [body.email], body.origin)
        return represent(row)

    @operation("List suppressions", needs=Scope.SUPPRESSIONS_READ, parameters=FILTERS)
    def get(self, access: Access) -> Page[SuppressionDetail]:
        return self.page(filtered(access, self.request.query_params), represent)


class SuppressionView(ApiView):
    tag = "Suppressions"

    @operation("Get a suppression", needs=Scope.SUPPRESSIONS_READ)
    def get(self, access: Access, id_or_email: str) -> SuppressionDetail:
        return represent(find(access, id_or_email))

    @operation("Remove a suppression", needs=Scope.SUPPRESSIONS_WRITE)
    def delete(self, access: Access, id_or_email: str) -> SuppressionRemoved:
        suppression = find(access, id_or_email)
        removed = suppressions.unsuppress([suppression])
        if not removed:
            raise _not_found(suppression.email, access)
        return represent_removed(removed)[0]


class AddSuppressionsView(ApiView):
    tag = "Suppressions"

    @operation("Suppress addresses", needs=Scope.SUPPRESSIONS_WRITE, idempotent=True)
    def post(self, access: Access, body: AddSuppressions) -> SuppressionsAdded:
        rows = _suppress(access, body.emails, body.origin)
        return SuppressionsAdded(data=[represent(row) for row in rows])


class RemoveSuppressionsView(ApiView):
    tag = "Suppressions"

    @operation("Remove suppressions", needs=Scope.SUPPRESSIONS_WRITE, idempotent=True)
    def post(self, access: Access, body: RemoveSuppressions) -> SuppressionsRemoved:
        rows = visible(access)
        matching = (
            rows.filter(pk__in=body.ids)
            if body.ids
            else rows.filter(email__in=[identity(email) for email in body.emails or []])
        )
        removed = suppressions.unsuppress(list(matching))
        return SuppressionsRemoved(data=represent_removed(removed))


def visible(access: Access) -> SuppressionQuerySet:
    """The only way this API reaches suppressions: those of the caller's workspace."""
    return Suppression.objects.visible_to(access)


def filtered(access: Access, query: Mapping[str, str]) -> SuppressionQuerySet:
    """The suppressions that match the query; ValidationFailed names an invalid filter."""
    rows = visible(access)
    for name in ("origin", "reason"):
        if (origin := query.get(name)) is not None:
            rows = rows.filter(origin=_validated(name, parse_origin, origin))
    if (email := query.get("email")) is not None:
        rows = rows.at(_validated("email", parse_contact_address, email))
    if (after := query.get("created_after")) is not None:
        rows = rows.filter(created_at__gte=_validated("created_after", from_iso, after))
    if (before := query.get("created_before")) is not None:
        rows = rows.filter(created_at__lt=_validated("created_before", from_iso, before))
    return rows


def find(access: Access, id_or_email: str) -> Suppression:
    """Finds a suppression by id or by address."""
    if "@" not in id_or_email:
        return views.find(visible(access), id_or_email, "suppression")
    try:
        email = identity(parse_contact_address(id_or_email))
    except ValueError:
        raise NotFound(f"There is no suppression `{id_or_email}`.") from None
    suppression = visible(access).at(email).first()
    if suppression is None:
        raise _not_found(email, access)
    return suppression


def _suppress(access: Access, emails: list[str], origin: str) -> list[Suppression]:
    """Suppresses the addresses; returns their suppressions, existing ones included."""
    workspace, now = access.workspace, timezone.now()
    suppressions.suppress(
        [
            suppressions.SuppressionRequest(
                workspace_id=workspace.pk, email=email, origin=origin, at=now
            )
            for email in emails
        ]
    )
    return list(visible(access).filter(email__in=emails))


def _validated(name: str, parse_value: Callable[[str], T], value: str) -> T:
    try:
        return parse_value(value)
    except ValueError as error:
        raise ValidationFailed({name: str(error)}) from None


def _not_found(email: str, access: Access) -> NotFound:
    """Says as well when SES still holds an address whose suppression was removed."""
    message = f"There is no suppression `{email}`."
    held = SesRemoval.objects.visible_to(access).open().filter(email=email).first()
    if held is None:
        return NotFound(message)
    why = f": {held.last_error}" if held.last_error else ", which takes a moment."
    return NotFound(
        f"{message} It was removed, but SES still holds the address on its own suppression list in"
        f" {held.region}. OpenSend takes it off there{why}"
    )
