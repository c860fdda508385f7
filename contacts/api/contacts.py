"""`/contacts`: contacts by id or address."""

from typing import Any

from accounts import views
from accounts.access import Access, Scope
from accounts.operation import operation
from accounts.views import ApiView
from contacts import services
from contacts.addresses import parse_contact_address
from contacts.api.bodies import CreateContact, UpdateContact
from contacts.api.representations import ContactDeleted, ContactDetail
from contacts.api.representations import represent_contact as represent
from contacts.models import Contact, ContactQuerySet
from core.api.dialects import Page
from core.errors import NotFound


class ContactsView(ApiView):
    tag = "Contacts"

    @operation("Create a contact", needs=Scope.CONTACTS_WRITE, status=201, idempotent=True)
    def post(self, access: Access, body: CreateContact) -> ContactDetail:
        fields = _as_columns(body.model_dump())
        return represent(services.create_contact(workspace=access.workspace, **fields))

    @operation("List contacts", needs=Scope.CONTACTS_READ)
    def get(self, access: Access) -> Page[ContactDetail]:
        return self.page(visible(access), represent)


class ContactView(ApiView):
    tag = "Contacts"

    @operation("Get a contact", needs=Scope.CONTACTS_READ)
    def get(self, access: Access, id_or_email: str) -> ContactDetail:
        return represent(find(access, id_or_email))

    @operation("Change a contact", needs=Scope.CONTACTS_WRITE)
    def patch(self, access: Access, body: UpdateContact, id_or_email: str) -> ContactDetail:
        changes = _as_columns(body.model_dump(exclude_unset=True, exclude={"id"}))
        return represent(services.update_contact(find(access, id_or_email), changes))

    @operation("Delete a contact", needs=Scope.CONTACTS_WRITE)
    def delete(self, access: Access, id_or_email: str) -> ContactDeleted:
        contact = find(access, id_or_email)
        services.delete_contact(contact)
        return ContactDeleted(id=str(contact.pk), contact=str(contact.pk))


def visible(access: Access) -> ContactQuerySet:
    """The only way this API reaches contacts: those of the caller's workspace."""
    return Contact.objects.visible_to(access)


def find(access: Access, id_or_email: str) -> Contact:
    """Finds a contact by id or by address."""
    if "@" not in id_or_email:
        return views.find(visible(access), id_or_email, "contact")
    try:
        contact = visible(access).at(parse_contact_address(id_or_email)).first()
    except ValueError:
        contact = None
    if contact is None:
        raise NotFound(f"There is no contact `{id_or_email}`.")
    return contact


def _as_columns(fields: dict[str, Any]) -> dict[str, Any]:
    """The columns of these fields: a null name is stored as an empty string."""
    names = {"first_name", "last_name"} & fields.keys()
    return fields | {name: fields[name] or "" for name in names}
