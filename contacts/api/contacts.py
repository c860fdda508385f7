"""`/contacts`: people."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from rest_framework.response import Response

from accounts import views
from accounts.authentication import ApiRequest
from accounts.idempotency import idempotent
from accounts.views import ApiView
from contacts import services
from contacts.addresses import ContactAddress, contactable
from contacts.models import Contact, ContactQuerySet
from contacts.suppressions import contact_snapshot
from core.api.bodies import RequestBody, Text, parse
from core.api.openapi import IDEMPOTENCY_KEY, PAGE, describe, list_of
from core.api.pagination import page
from core.errors import NotFound
from events.payloads.contacts import ContactOut

# Beyond this, numbers that one program writes are others to the next (RFC 8259 section 6).
_EXACT = 2**53
_LONGEST_TEXT = 2000


def _property(given: Any) -> Any:
    if isinstance(given, bool | None):
        return given
    if isinstance(given, str):
        if len(given) > _LONGEST_TEXT or "\x00" in given:
            raise ValueError(f"must have at most {_LONGEST_TEXT:,} characters, none of them U+0000")
        return given
    if not isinstance(given, int | float):
        raise ValueError("must be text, a number, true, false or null")
    if abs(given) > _EXACT:
        raise ValueError("must be a number from -2^53 to 2^53; a longer one can be text")
    return given


PropertyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
PropertyValue = Annotated[
    Any,
    AfterValidator(_property),
    WithJsonSchema({"type": ["string", "number", "boolean", "null"]}),
]
Properties = Annotated[dict[PropertyName, PropertyValue], Field(max_length=services.MAX_PROPERTIES)]
Name = Annotated[Text, Field(max_length=200)]


class CreateContact(RequestBody):
    """Who had unsubscribed is added as unsubscribed, whatever is said here."""

    email: ContactAddress
    first_name: Name | None = None
    last_name: Name | None = None
    unsubscribed: bool = False
    properties: Properties = {}


class UpdateContact(RequestBody):
    """What isn't named stays as it is, among `properties` too; null takes a property away.

    `id` is the path's, and not looked at.
    """

    # Resend's Python client sends all it was given.
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
    """`contact` is the id once more, where Resend's clients look for it."""

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
        return Response(page(request, visible(request), shown))

    def _create(self, request: ApiRequest) -> Response:
        wanted = parse(CreateContact, request.data)
        contact = services.create_contact(
            workspace=request.auth.workspace, **_as_columns(wanted.model_dump())
        )
        return Response(shown(contact), status=201)


class ContactView(ApiView):
    @describe("Get a contact", response=ContactDetail, tag="Contacts")
    def get(self, request: ApiRequest, given: str) -> Response:
        return Response(shown(find(request, given)))

    @describe("Change a contact", request=UpdateContact, response=ContactDetail, tag="Contacts")
    def patch(self, request: ApiRequest, given: str) -> Response:
        contact = find(request, given)
        changes = parse(UpdateContact, request.data).model_dump(exclude_unset=True, exclude={"id"})
        return Response(shown(services.update_contact(contact, _as_columns(changes))))

    @describe("Delete a contact", response=ContactDeleted, tag="Contacts")
    def delete(self, request: ApiRequest, given: str) -> Response:
        contact = find(request, given)
        services.delete_contact(contact)
        deleted = ContactDeleted(id=str(contact.pk), contact=str(contact.pk))
        return Response(deleted.model_dump())


def visible(request: ApiRequest) -> ContactQuerySet:
    """The only way this API reaches contacts: those of the caller's workspace."""
    return Contact.objects.for_workspace(request.auth.workspace)


def find(request: ApiRequest, given: str) -> Contact:
    """By id or by address."""
    if "@" not in given:
        return views.find(visible(request), given, "contact")
    try:
        found = visible(request).at(contactable(given)).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"There is no contact `{given}`.")
    return found


def shown(contact: Contact) -> dict[str, Any]:
    return ContactDetail(
        **contact_snapshot(contact),
        properties={name: _with_type(value) for name, value in contact.properties.items()},
    ).model_dump()


def _with_type(value: services.Property) -> PropertyOut:
    if isinstance(value, bool):
        return PropertyOut(value=value, type="boolean")
    return PropertyOut(value=value, type="string" if isinstance(value, str) else "number")


def _as_columns(fields: dict[str, Any]) -> dict[str, Any]:
    """A name that is null is an empty one."""
    names = {"first_name", "last_name"} & fields.keys()
    return fields | {name: fields[name] or "" for name in names}
