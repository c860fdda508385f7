"""`/contacts`: contacts by id or address, and the events they publish."""

import pytest

from contacts.models import Contact, Suppression
from contacts.services import update_contact
from tests.clients import rejected_fields
from tests.database import run_at_once

pytestmark = pytest.mark.django_db
ANN = {"email": "Ann@example.net", "first_name": "Ann", "last_name": "Lee"}


@pytest.fixture
def ann(api):
    return api.post("/contacts", ANN).json()


def suppressed_addresses():
    return list(Suppression.objects.order_by("email").values_list("email", "origin"))


# --- Creating -------------------------------------------------------------------------


def test_creating_a_contact_publishes_an_event(api, published):
    answer = api.post(
        "/contacts", ANN | {"properties": {"plan": "pro", "seats": 5, "vip": True, "removed": None}}
    )
    assert answer.status_code == 201
    created = answer.json()
    assert created.pop("properties") == {
        "plan": {"value": "pro", "type": "string"},
        "seats": {"value": 5, "type": "number"},
        "vip": {"value": True, "type": "boolean"},
    }
    assert created.pop("object") == "contact"
    assert created == {
        **ANN,
        "id": created["id"],
        "unsubscribed": False,
        "created_at": created["created_at"],
    }
    assert published("contact.created") == [created]


def test_omitted_fields_are_null(api):
    created = api.post("/contacts", {"email": "bob@example.net", "first_name": None}).json()
    assert (created["first_name"], created["last_name"], created["properties"]) == (None, None, {})


def test_the_domain_of_an_address_is_stored_in_a_labels(api):
    created = api.post("/contacts", {"email": " Ann@BÜCHER.example "}).json()
    assert created["email"] == "Ann@xn--bcher-kva.example"
    assert api.get("/contacts/ANN@bücher.example").json()["id"] == created["id"]


def test_a_duplicate_address_is_refused_with_the_id_of_the_existing_contact(api, ann, published):
    answer = api.post("/contacts", {"email": "ANN@example.net"})
    assert (answer.status_code, answer.json()["name"]) == (409, "contact_exists")
    assert answer.json()["details"] == {"id": ann["id"]}
    assert len(published("contact.created")) == 1


def test_a_refused_contact_adds_no_suppression(api, ann, published):
    assert api.post("/contacts", ANN | {"unsubscribed": True}).status_code == 409
    assert not suppressed_addresses()
    assert not published("suppression.added")


def test_contacts_belong_to_one_workspace(api, stranger, ann):
    assert stranger.post("/contacts", ANN).status_code == 201
    for answer in (
        stranger.get(f"/contacts/{ann['id']}"),
        stranger.patch(f"/contacts/{ann['id']}", {"first_name": "Eve"}),
        stranger.delete(f"/contacts/{ann['id']}"),
    ):
        assert answer.status_code == 404
    assert api.get("/contacts/ann@example.net").json() == ann
    assert [each["id"] for each in api.get("/contacts").json()["data"]] == [ann["id"]]


def test_an_idempotency_key_creates_one_contact(api, published):
    first, again = (
        api.post("/contacts", ANN, headers={"Idempotency-Key": "once"}) for _ in range(2)
    )
    assert (again.status_code, again.json()) == (201, first.json())
    assert again["Idempotent-Replayed"] == "true"
    assert len(published("contact.created")) == 1


@pytest.mark.parametrize(
    ("fields", "invalid"),
    [
        ({"email": "Ann <ann@example.net>"}, "email"),
        ({"email": "ann"}, "email"),
        ({"email": "änn@example.net"}, "email"),
        ({"email": 5}, "email"),
        ({"first_name": "x" * 201}, "first_name"),
        ({"last_name": "a\x00b"}, "last_name"),
        ({"unsubscribed": "yes"}, "unsubscribed"),
        ({"segments": [{"id": "a"}]}, "segments"),
        ({"properties": {"a b": 1}}, "properties.a b"),
        ({"properties": {"a": [1]}}, "properties.a"),
        ({"properties": {"a": "x" * 2001}}, "properties.a"),
        ({"properties": {"a": "\x00"}}, "properties.a"),
        ({"properties": {"a": 2**53 + 1}}, "properties.a"),
        ({"properties": {"a": -1e300}}, "properties.a"),
        ({"properties": {f"p{number}": 1 for number in range(51)}}, "properties"),
    ],
)
def test_an_invalid_field_is_named(api, fields, invalid):
    assert set(rejected_fields(api.post("/contacts", ANN | fields))) == {invalid}
    assert not Contact.objects.exists()


@pytest.mark.parametrize("value", [2**53, -(2**53), 1e-300, 0.1, 5.0, "", "ü", False])
def test_a_property_keeps_its_value(api, value):
    api.post("/contacts", ANN | {"properties": {"a": value}})
    assert api.get("/contacts/ann@example.net").json()["properties"]["a"]["value"] == value


# --- Reading --------------------------------------------------------------------------


def test_contacts_are_listed_newest_first(api):
    created = [api.post("/contacts", {"email": f"p{n}@example.net"}).json()["id"] for n in range(3)]
    first = api.get("/contacts?limit=2").json()
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (created[:0:-1], True)
    rest = api.get(f"/contacts?after={created[1]}").json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (created[:1], False)


def test_a_list_takes_one_query(api, django_assert_num_queries):
    for number in range(3):
        api.post("/contacts", {"email": f"p{number}@example.net"})
    with django_assert_num_queries(2):  # the key, the page
        api.get("/contacts")


def test_a_contact_is_found_by_id_and_by_address_in_any_case(api, ann):
    for given in (ann["id"], "ann@example.net", "ANN%40Example.Net"):
        assert api.get(f"/contacts/{given}").json() == ann


def test_an_address_may_contain_a_slash(api):
    created = api.post("/contacts", {"email": "a/b+c@example.net"}).json()
    assert api.get("/contacts/a%2Fb%2Bc%40example.net").json() == created


@pytest.mark.parametrize("given", ["nonsense", "a@b", "x@example.net", "a%00@example.net", "a/b/"])
def test_an_unknown_contact_is_a_404(api, ann, given):
    for method in (api.get, api.patch, api.delete):
        assert method(f"/contacts/{given}").json()["name"] == "not_found"


@pytest.mark.parametrize("url", ["/audiences/a/contacts", "/segments/a/contacts", "/audiences"])
def test_audiences_and_segments_are_refused_with_an_explanation(api, url):
    answer = api.get(url)
    assert answer.status_code == 404
    assert "audience_id" in answer.json()["message"]


# --- Updating -------------------------------------------------------------------------


def test_an_update_publishes_only_changed_fields(api, ann, published):
    changes = {"first_name": "Anna", "last_name": "Lee", "unsubscribed": False}
    changed = api.patch(f"/contacts/{ann['id']}", changes).json()
    assert changed == ann | {"first_name": "Anna"}
    (event,) = published("contact.updated")
    assert event.pop("changed_fields") == ["first_name"]
    assert event["first_name"] == "Anna"


def test_an_update_without_changes_publishes_nothing(api, ann, published):
    again = {"id": ann["id"], **ANN, "email": "ANN@EXAMPLE.NET", "properties": {"gone": None}}
    assert api.patch(f"/contacts/{ann['id']}", again).json() == ann
    assert api.patch(f"/contacts/{ann['id']}", {}).json() == ann
    assert not published("contact.updated")


def test_properties_are_merged_by_name(api, ann, published):
    url = f"/contacts/{ann['id']}"
    api.patch(url, {"properties": {"a": 1, "b": "x"}})
    changed = api.patch(url, {"properties": {"a": True, "b": None, "c": 2}}).json()
    assert changed["properties"] == {
        "a": {"value": True, "type": "boolean"},
        "c": {"value": 2, "type": "number"},
    }
    api.patch(url, {"properties": {"a": True}})
    assert [event["changed_fields"] for event in published("contact.updated")] == [
        ["properties"]
    ] * 2


def test_replacing_1_with_true_is_a_change(api, ann):
    url = f"/contacts/{ann['id']}"
    api.patch(url, {"properties": {"a": 1}})
    assert api.patch(url, {"properties": {"a": True}}).json()["properties"]["a"]["value"] is True


def test_the_number_of_properties_is_limited(api, ann):
    url = f"/contacts/{ann['id']}"
    api.patch(url, {"properties": {f"a{number}": 1 for number in range(50)}})
    assert set(rejected_fields(api.patch(url, {"properties": {"b": 1}}))) == {"properties"}
    assert api.patch(url, {"properties": {"b": 1, "a0": None}}).status_code == 200


def test_a_name_can_be_removed(api, ann):
    assert api.patch(f"/contacts/{ann['id']}", {"first_name": None}).json()["first_name"] is None


def test_an_address_can_change_to_an_unused_one(api, ann, published):
    bob = api.post("/contacts", {"email": "bob@example.net"}).json()
    url = f"/contacts/{ann['id']}"
    answer = api.patch(url, {"email": "BOB@example.net"})
    assert (answer.status_code, answer.json()["details"]) == (409, {"id": bob["id"]})
    assert api.patch(url, {"email": "new@example.net"}).json()["email"] == "new@example.net"
    assert [event["changed_fields"] for event in published("contact.updated")] == [["email"]]


# --- Unsubscribing --------------------------------------------------------------------


def test_unsubscribing_adds_a_suppression_and_resubscribing_removes_it(api, ann, published):
    url = f"/contacts/{ann['id']}"
    assert api.patch(url, {"unsubscribed": True}).json()["unsubscribed"] is True
    assert suppressed_addresses() == [("ann@example.net", "unsubscribed")]
    assert api.patch(url, {"unsubscribed": False}).json()["unsubscribed"] is False
    assert suppressed_addresses() == []
    assert len(published("suppression.added")) == len(published("suppression.removed")) == 1
    assert [event["unsubscribed"] for event in published("contact.updated")] == [True, False]


def test_resubscribing_keeps_other_suppressions(api, ann):
    url = f"/contacts/{ann['id']}"
    api.patch(url, {"unsubscribed": True})
    api.post("/suppressions", {"email": "ann@example.net", "reason": "bounce"})
    api.patch(url, {"unsubscribed": False})
    assert suppressed_addresses() == [("ann@example.net", "bounce")]


def test_re_adding_an_unsubscribed_contact_does_not_resubscribe_it(api, ann):
    api.patch(f"/contacts/{ann['id']}", {"unsubscribed": True})
    api.delete(f"/contacts/{ann['id']}")
    assert suppressed_addresses() == [("ann@example.net", "unsubscribed")]
    assert api.post("/contacts", ANN | {"unsubscribed": False}).json()["unsubscribed"] is True


def test_creating_an_unsubscribed_contact_adds_a_suppression(api):
    assert api.post("/contacts", ANN | {"unsubscribed": True}).json()["unsubscribed"] is True
    assert suppressed_addresses() == [("ann@example.net", "unsubscribed")]


def test_a_new_address_of_an_unsubscribed_contact_is_suppressed_too(api, ann):
    url = f"/contacts/{ann['id']}"
    api.patch(url, {"unsubscribed": True})
    api.patch(url, {"email": "new@example.net"})
    assert suppressed_addresses() == [
        (f"{name}@example.net", "unsubscribed") for name in ("ann", "new")
    ]


def test_removing_an_unsubscribed_suppression_resubscribes_the_contact(api, ann, published):
    api.patch(f"/contacts/{ann['id']}", {"unsubscribed": True})
    assert api.delete("/suppressions/ann@example.net").status_code == 200
    assert api.get(f"/contacts/{ann['id']}").json()["unsubscribed"] is False
    assert suppressed_addresses() == []
    assert [event["unsubscribed"] for event in published("contact.updated")] == [True, False]


def test_removing_a_bounce_keeps_an_unsubscribed_contact_suppressed(api, stranger, ann):
    stranger.post("/contacts", ANN | {"unsubscribed": True})
    api.patch(f"/contacts/{ann['id']}", {"unsubscribed": True})
    bounce = api.post("/suppressions", {"email": "ann@example.net", "reason": "bounce"}).json()
    api.delete(f"/suppressions/{bounce['id']}")
    left = api.get("/suppressions/ann@example.net").json()
    assert left["origin"] == "unsubscribed"
    assert left["id"] != bounce["id"]
    assert api.get(f"/contacts/{ann['id']}").json()["unsubscribed"] is True


def test_unsubscribing_suppresses_the_current_address(api, ann):
    stale = Contact.objects.get()
    api.patch(f"/contacts/{ann['id']}", {"email": "new@example.net"})
    update_contact(stale, {"unsubscribed": True})
    assert suppressed_addresses() == [("new@example.net", "unsubscribed")]


# --- Deleting -------------------------------------------------------------------------


def test_deleting_a_contact_publishes_an_event(api, ann, published):
    answer = api.delete("/contacts/ann@example.net")
    assert answer.json() == {
        "object": "contact",
        "id": ann["id"],
        "contact": ann["id"],
        "deleted": True,
    }
    assert api.get(f"/contacts/{ann['id']}").status_code == 404
    assert [event["email"] for event in published("contact.deleted")] == ["Ann@example.net"]


# --- Concurrency ----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_concurrent_updates_are_all_kept(api, ann, published):
    contact = Contact.objects.get()
    changes = [{"properties": {f"p{number}": number}} for number in range(8)]
    changes += [{"first_name": "Anna"}, {"unsubscribed": True}]
    run_at_once(*[lambda change=change: update_contact(contact, change) for change in changes])
    contact.refresh_from_db()
    assert set(contact.properties) == {f"p{number}" for number in range(8)}
    assert (contact.first_name, contact.unsubscribed) == ("Anna", True)
    assert len(published("contact.updated")) == 10


@pytest.mark.django_db(transaction=True)
def test_concurrent_unsubscribes_and_removals_keep_contact_and_suppression_consistent(api, ann):
    contact = Contact.objects.get()

    def set_unsubscribed(value):
        for _ in range(10):
            update_contact(contact, {"unsubscribed": value})

    def remove():
        for _ in range(10):
            api.delete("/suppressions/ann@example.net")

    run_at_once(lambda: set_unsubscribed(True), lambda: set_unsubscribed(False), remove)
    contact.refresh_from_db()
    assert contact.unsubscribed == Suppression.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_creating_an_address_concurrently_makes_one_contact(api):
    def add():
        assert api.post("/contacts", ANN).status_code in {201, 409}

    run_at_once(*[add] * 5)
    assert Contact.objects.count() == 1
