"""`/contacts`: contacts by id or address."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from rest_framework.response import Response

from accounts import views
from accounts.authentication import ApiRequest
from accounts.idempotency import idempotent
from accounts.views import ApiView
from contacts import services
from contacts.addresses import ContactAddress, parse_contact_address
from contacts.models import Contact, ContactQuerySet
from contacts.suppressions import contact_snapshot
from core.api.bodies import RequestBody, Text, parse
from core.api.openapi import IDEMPOTENCY_KEY, PAGE, describe, list_of
from core.api.pagination import page
from core.errors import NotFound
from events.payloads.contacts import ContactOut

# Larger integers are not exact in every JSON implementation (RFC 8259 section 6).
_MAX_EXACT_NUMBER = 2**53
_MAX_TEXT_LENGTH = 2000


def _property_value(value: Any) -> Any:
    if isinstance(value, bool | None):
        return value
    if isinstance(value, str):
        if len(value) > _MAX_TEXT_LENGTH or "\x00" in value:
            raise ValueError(
                f"must have at most {_MAX_TEXT_LENGTH:,} characters and no U+0000 character"
            )
        return value
    if not isinstance(value, int | float):
        raise ValueError("must be a string, a number, true, false or null")
    if abs(value) > _MAX_EXACT_NUMBER:
        raise ValueError("must be a number from -2^53 to 2^53; send a larger one as a string")
    return value


PropertyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
PropertyValue = Annotated[
    Any,
    AfterValidator(_property_value),
    WithJsonSchema({"type": ["string", "number", "boolean", "null"]}),
]
Properties = Annotated[dict[PropertyName, PropertyValue], Field(max_length=services.MAX_PROPERTIES)]
Name = Annotated[Text, Field(max_length=200)]


class CreateContact(RequestBody):
    """A contact who unsubscribed earlier stays unsubscribed, whatever `unsubscribed` says here."""

    email: ContactAddress
    first_name: Name | None = None
    last_name: Name | None = None
    unsubscribed: bool = False
    properties: Properties = {}


class UpdateContact(RequestBody):
    """Omitted fields and properties keep their values; a property set to null is removed.

    `id` is ignored: the path identifies the contact.
    """

    # Resend's Python client sends every parameter of its call, the id included.
    id: Text = Field(default="", max_length=100)
    email: ContactAddress = ""
    first_name: Name | None = None
    last_name: Name | None = None
    unsubscribed: bool = False
    properties: Properties = {}


class PropertyOut(BaseModel):
    value: str | bool | int | float
    type: Literal["string", "number", "boolean"]


class ContactDetail(ContactOut):
    object: Literal["contact"] = "contact"
    properties: dict[str, PropertyOut]


class ContactDeleted(BaseModel):
    """`contact` repeats the id, because Resend's clients read it there."""

    object: Literal["contact"] = "contact"
    id: str
    contact: str
    deleted: Literal[True] = True


class ContactsView(ApiView):
    @describe(
        "Create a contact",
        request=CreateContact,
        response=ContactDetail,
        status=201,
        parameters=[IDEMPOTENCY_KEY],
        tag="Contacts",
    )
    def post(self, request: ApiRequest) -> Response:
        return idempotent(request, "POST /contacts", lambda: self._create(request))

    @describe("List contacts", response=list_of(ContactDetail), parameters=PAGE, tag="Contacts")
    def get(self, request: ApiRequest) -> Response:
        return Response(page(request, visible(request), represent))

    def _create(self, request: ApiRequest) -> Response:
        body = parse(CreateContact, request.data)
        contact = services.create_contact(
            workspace=request.auth.workspace, **_as_columns(body.model_dump())
        )
        return Response(represent(contact), status=201)


class ContactView(ApiView):
    @describe("Get a contact", response=ContactDetail, tag="Contacts")
    def get(self, request: ApiRequest, given: str) -> Response:
        return Response(represent(find(request, given)))

    @describe("Change a contact", request=UpdateContact, response=ContactDetail, tag="Contacts")
    def patch(self, request: ApiRequest, given: str) -> Response:
        contact = find(request, given)
        changes = parse(UpdateContact, request.data).model_dump(exclude_unset=True, exclude={"id"})
        return Response(represent(services.update_contact(contact, _as_columns(changes))))

    @describe("Delete a contact", response=ContactDeleted, tag="Contacts")
    def delete(self, request: ApiRequest, given: str) -> Response:
        contact = find(request, given)
        services.delete_contact(contact)
        deleted = ContactDeleted(id=str(contact.pk), contact=str(contact.pk))
        return Response(deleted.model_dump())


def visible(request: ApiRequest) -> ContactQuerySet:
    """The contacts of the caller's workspace; this API reads no others."""
    return Contact.objects.for_workspace(request.auth.workspace)


def find(request: ApiRequest, given: str) -> Contact:
    """Finds a contact by id or by address."""
    if "@" not in given:
        return views.find(visible(request), given, "contact")
    try:
        contact = visible(request).at(parse_contact_address(given)).first()
    except ValueError:
        contact = None
    if contact is None:
        raise NotFound(f"There is no contact `{given}`.")
    return contact


def represent(contact: Contact) -> dict[str, Any]:
    return ContactDetail(
        **contact_snapshot(contact),
        properties={name: _typed(value) for name, value in contact.properties.items()},
    ).model_dump()


def _typed(value: services.Property) -> PropertyOut:
    if isinstance(value, bool):
        return PropertyOut(value=value, type="boolean")
    return PropertyOut(value=value, type="string" if isinstance(value, str) else "number")


def _as_columns(fields: dict[str, Any]) -> dict[str, Any]:
    """The columns of these fields: a null name is stored as an empty string."""
    names = {"first_name", "last_name"} & fields.keys()
    return fields | {name: fields[name] or "" for name in names}
