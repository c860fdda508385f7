"""`/suppressions`: suppressed addresses, by id or address, and in batches."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, TypeVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, model_validator
from rest_framework.response import Response

from accounts import views
from accounts.authentication import ApiRequest
from accounts.idempotency import idempotent
from accounts.views import ApiView
from contacts import suppressions
from contacts.addresses import ContactAddress, SuppressibleAddress, parse_contact_address
from contacts.models import Suppression, SuppressionQuerySet
from core.addresses import identity
from core.api.aliases import AliasedBody
from core.api.bodies import RequestBody, parse
from core.api.openapi import IDEMPOTENCY_KEY, PAGE, describe, list_of
from core.api.pagination import page
from core.errors import NotFound, ValidationFailed
from core.times import from_iso
from events.payloads.contacts import SuppressionOut

T = TypeVar("T")

MAX_BATCH = 100


def _origin(value: str) -> str:
    if value not in Suppression.Origin.values:
        raise ValueError(f"must be one of {', '.join(Suppression.Origin.values)}")
    return value


Origin = Annotated[
    str,
    AfterValidator(_origin),
    Field(
        validation_alias=AliasChoices("origin", "reason"),
        json_schema_extra={"enum": Suppression.Origin.values},
    ),
]
# Not strict: JSON has no UUID type, only strings.
Id = Annotated[UUID, Field(strict=False)]


class AddSuppression(AliasedBody):
    email: SuppressibleAddress
    origin: Origin = Suppression.Origin.MANUAL.value


class AddSuppressions(AliasedBody):
    emails: Annotated[list[SuppressibleAddress], Field(min_length=1, max_length=MAX_BATCH)]
    origin: Origin = Suppression.Origin.MANUAL.value


class RemoveSuppressions(RequestBody):
    """Either `emails` or `ids`."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["emails"]}, {"required": ["ids"]}]}
    )

    emails: Annotated[list[ContactAddress], Field(min_length=1, max_length=MAX_BATCH)] | None = None
    ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_BATCH)] | None = None

    @model_validator(mode="after")
    def _has_emails_or_ids(self) -> Self:
        if (self.emails is None) == (self.ids is None):
            raise ValueError("must have either `emails` or `ids`")
        return self


class SuppressionDetail(SuppressionOut):
    """`event_id` is the event that reported the cause, or null."""

    object: Literal["suppression"] = "suppression"
    event_id: str | None


class SuppressionRemoved(BaseModel):
    object: Literal["suppression"] = "suppression"
    id: str
    deleted: Literal[True] = True


class SuppressionsAdded(BaseModel):
    """One suppression per address, in no particular order."""

    object: Literal["list"] = "list"
    data: list[SuppressionDetail]


class SuppressionsRemoved(BaseModel):
    """The suppressions that existed and were removed, in no particular order."""

    object: Literal["list"] = "list"
    data: list[SuppressionRemoved]


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
    @describe(
        "Suppress an address",
        request=AddSuppression,
        response=SuppressionDetail,
        parameters=[IDEMPOTENCY_KEY],
        tag="Suppressions",
    )
    def post(self, request: ApiRequest) -> Response:
        return idempotent(request, "POST /suppressions", lambda: self._add(request))

    @describe(
        "List suppressions",
        response=list_of(SuppressionDetail),
        parameters=[*PAGE, *FILTERS],
        tag="Suppressions",
    )
    def get(self, request: ApiRequest) -> Response:
        return Response(page(request, filtered(request), represent))

    def _add(self, request: ApiRequest) -> Response:
        body = parse(AddSuppression, request.data)
        (row,) = _suppress(request, [body.email], body.origin)
        return Response(represent(row))


class SuppressionView(ApiView):
    @describe("Get a suppression", response=SuppressionDetail, tag="Suppressions")
    def get(self, request: ApiRequest, given: str) -> Response:
        return Response(represent(find(request, given)))

    @describe("Remove a suppression", response=SuppressionRemoved, tag="Suppressions")
    def delete(self, request: ApiRequest, given: str) -> Response:
        removed = suppressions.unsuppress([find(request, given)])
        if not removed:
            raise _not_found(given)
        return Response(_removed(removed[0]).model_dump())


class AddSuppressionsView(ApiView):
    @describe(
        "Suppress addresses",
        request=AddSuppressions,
        response=SuppressionsAdded,
        parameters=[IDEMPOTENCY_KEY],
        tag="Suppressions",
    )
    def post(self, request: ApiRequest) -> Response:
        return idempotent(request, "POST /suppressions/batch/add", lambda: self._add(request))

    def _add(self, request: ApiRequest) -> Response:
        body = parse(AddSuppressions, request.data)
        rows = _suppress(request, body.emails, body.origin)
        return Response({"object": "list", "data": [represent(row) for row in rows]})


class RemoveSuppressionsView(ApiView):
    @describe(
        "Remove suppressions",
        request=RemoveSuppressions,
        response=SuppressionsRemoved,
        parameters=[IDEMPOTENCY_KEY],
        tag="Suppressions",
    )
    def post(self, request: ApiRequest) -> Response:
        return idempotent(request, "POST /suppressions/batch/remove", lambda: self._remove(request))

    def _remove(self, request: ApiRequest) -> Response:
        body = parse(RemoveSuppressions, request.data)
        rows = visible(request)
        matching = (
            rows.filter(pk__in=body.ids)
            if body.ids
            else rows.filter(email__in=[identity(email) for email in body.emails or []])
        )
        removed = suppressions.unsuppress(list(matching))
        return Response(SuppressionsRemoved(data=[_removed(row) for row in removed]).model_dump())


def visible(request: ApiRequest) -> SuppressionQuerySet:
    """The suppressions of the caller's workspace; this API reads no others."""
    return Suppression.objects.for_workspace(request.auth.workspace)


def filtered(request: ApiRequest) -> SuppressionQuerySet:
    """The suppressions that match the query; ValidationFailed names an invalid filter."""
    rows, query = visible(request), request.query_params
    for name in ("origin", "reason"):
        if (origin := query.get(name)) is not None:
            rows = rows.filter(origin=_validated(name, _origin, origin))
    if (email := query.get("email")) is not None:
        rows = rows.at(_validated("email", parse_contact_address, email))
    if (after := query.get("created_after")) is not None:
        rows = rows.filter(created_at__gte=_validated("created_after", from_iso, after))
    if (before := query.get("created_before")) is not None:
        rows = rows.filter(created_at__lt=_validated("created_before", from_iso, before))
    return rows


def find(request: ApiRequest, given: str) -> Suppression:
    """Finds a suppression by id or by address."""
    if "@" not in given:
        return views.find(visible(request), given, "suppression")
    try:
        suppression = visible(request).at(parse_contact_address(given)).first()
    except ValueError:
        suppression = None
    if suppression is None:
        raise _not_found(given)
    return suppression


def represent(suppression: Suppression) -> dict[str, Any]:
    return SuppressionDetail(
        **suppressions.snapshot(suppression),
        event_id=str(suppression.event_id) if suppression.event_id else None,
    ).model_dump()


def _suppress(request: ApiRequest, emails: list[str], origin: str) -> list[Suppression]:
    """Suppresses the addresses; returns their suppressions, existing ones included."""
    workspace, now = request.auth.workspace, timezone.now()
    suppressions.suppress(
        [
            suppressions.SuppressionRequest(
                workspace_id=workspace.pk, email=email, origin=origin, at=now
            )
            for email in emails
        ]
    )
    return list(visible(request).filter(email__in=emails))


def _validated(name: str, parse_value: Callable[[str], T], value: str) -> T:
    try:
        return parse_value(value)
    except ValueError as error:
        raise ValidationFailed({name: str(error)}) from None


def _removed(suppression: Suppression) -> SuppressionRemoved:
    return SuppressionRemoved(id=str(suppression.pk))


def _not_found(given: str) -> NotFound:
    return NotFound(f"There is no suppression `{given}`.")
