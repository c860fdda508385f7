"""`/suppressions`: addresses that get no more mail."""

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
from contacts.addresses import ContactAddress, SuppressibleAddress, contactable
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


def _origin(given: str) -> str:
    if given not in Suppression.Origin.values:
        raise ValueError(f"must be one of {', '.join(Suppression.Origin.values)}")
    return given


Origin = Annotated[
    str,
    AfterValidator(_origin),
    Field(
        validation_alias=AliasChoices("origin", "reason"),
        json_schema_extra={"enum": Suppression.Origin.values},
    ),
]
# Not strict: JSON has no UUIDs, only text that spells them.
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
    def _names_one(self) -> Self:
        if (self.emails is None) == (self.ids is None):
            raise ValueError("must have either `emails` or `ids`")
        return self


class SuppressionDetail(SuppressionOut):
    """`event_id` is the event that told of the cause, or null."""

    object: Literal["suppression"] = "suppression"
    event_id: str | None


class SuppressionRemoved(BaseModel):
    object: Literal["suppression"] = "suppression"
    id: str
    deleted: Literal[True] = True


class SuppressionsAdded(BaseModel):
    """Each address once, in no certain order."""

    object: Literal["list"] = "list"
    data: list[SuppressionDetail]


class SuppressionsRemoved(BaseModel):
    """Those that were suppressed, in no certain order."""

    object: Literal["list"] = "list"
    data: list[SuppressionRemoved]


FILTERS = [
    OpenApiParameter(
        "origin",
        OpenApiTypes.STR,
        enum=Suppression.Origin.values,
        description="only those suppressed for this; `reason` is another name",
    ),
    OpenApiParameter("email", OpenApiTypes.STR, description="only this address"),
    OpenApiParameter(
        "created_after",
        OpenApiTypes.DATETIME,
        description="only those caused at or after this time",
    ),
    OpenApiParameter(
        "created_before", OpenApiTypes.DATETIME, description="only those caused before this time"
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
        return Response(page(request, filtered(request), shown))

    def _add(self, request: ApiRequest) -> Response:
        wanted = parse(AddSuppression, request.data)
        (row,) = _suppress(request, [wanted.email], wanted.origin)
        return Response(shown(row))


class SuppressionView(ApiView):
    @describe("Get a suppression", response=SuppressionDetail, tag="Suppressions")
    def get(self, request: ApiRequest, given: str) -> Response:
        return Response(shown(find(request, given)))

    @describe("Remove a suppression", response=SuppressionRemoved, tag="Suppressions")
    def delete(self, request: ApiRequest, given: str) -> Response:
        removed = suppressions.unsuppress([find(request, given)])
        if not removed:
            raise _not_there(given)
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
        wanted = parse(AddSuppressions, request.data)
        rows = _suppress(request, wanted.emails, wanted.origin)
        return Response({"object": "list", "data": [shown(row) for row in rows]})


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
        wanted = parse(RemoveSuppressions, request.data)
        rows = visible(request)
        named = (
            rows.filter(pk__in=wanted.ids)
            if wanted.ids
            else rows.filter(email__in=[identity(email) for email in wanted.emails or []])
        )
        removed = suppressions.unsuppress(list(named))
        return Response(SuppressionsRemoved(data=[_removed(row) for row in removed]).model_dump())


def visible(request: ApiRequest) -> SuppressionQuerySet:
    """The only way this API reaches suppressions: those of the caller's workspace."""
    return Suppression.objects.for_workspace(request.auth.workspace)


def filtered(request: ApiRequest) -> SuppressionQuerySet:
    """Those that the query asks for; ValidationFailed names a filter that makes no sense."""
    rows, asked = visible(request), request.query_params
    for name in ("origin", "reason"):
        if (origin := asked.get(name)) is not None:
            rows = rows.filter(origin=_valid(name, _origin, origin))
    if (email := asked.get("email")) is not None:
        rows = rows.at(_valid("email", contactable, email))
    if (after := asked.get("created_after")) is not None:
        rows = rows.filter(created_at__gte=_valid("created_after", from_iso, after))
    if (before := asked.get("created_before")) is not None:
        rows = rows.filter(created_at__lt=_valid("created_before", from_iso, before))
    return rows


def find(request: ApiRequest, given: str) -> Suppression:
    """By id or by address."""
    if "@" not in given:
        return views.find(visible(request), given, "suppression")
    try:
        found = visible(request).at(contactable(given)).first()
    except ValueError:
        found = None
    if found is None:
        raise _not_there(given)
    return found


def shown(suppression: Suppression) -> dict[str, Any]:
    return SuppressionDetail(
        **suppressions.snapshot(suppression),
        event_id=str(suppression.event_id) if suppression.event_id else None,
    ).model_dump()


def _suppress(request: ApiRequest, emails: list[str], origin: str) -> list[Suppression]:
    """The suppressions of these addresses as they are then."""
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


def _valid(name: str, read: Callable[[str], T], given: str) -> T:
    try:
        return read(given)
    except ValueError as error:
        raise ValidationFailed({name: str(error)}) from None


def _removed(suppression: Suppression) -> SuppressionRemoved:
    return SuppressionRemoved(id=str(suppression.pk))


def _not_there(given: str) -> NotFound:
    return NotFound(f"There is no suppression `{given}`.")
