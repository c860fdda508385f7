"""`/contacts`: people, by id or address, and what is told of them."""

import threading

import pytest
from django.db import connection

from contacts.models import Contact, Suppression
from contacts.services import update_contact

pytestmark = pytest.mark.django_db
ANN = {"email": "Ann@example.net", "first_name": "Ann", "last_name": "Lee"}


@pytest.fixture
def ann(api):
    return api.post("/contacts", ANN).json()


def problems(answer, status=422):
    assert answer.status_code == status, answer.content
    return set(answer.json()["details"]["fields"])


def suppressed():
    return list(Suppression.objects.order_by("email").values_list("email", "origin"))


# --- Adding ---------------------------------------------------------------------------


def test_a_contact_is_added_and_told(api, told):
    answer = api.post(
        "/contacts", ANN | {"properties": {"plan": "pro", "seats": 5, "vip": True, "left": None}}
    )
    assert answer.status_code == 201
    made = answer.json()
    assert made.pop("properties") == {
        "plan": {"value": "pro", "type": "string"},
        "seats": {"value": 5, "type": "number"},
        "vip": {"value": True, "type": "boolean"},
    }
    assert made.pop("object") == "contact"
    assert made == {
        **ANN,
        "id": made["id"],
        "unsubscribed": False,
        "created_at": made["created_at"],
    }
    assert told("contact.created") == [made]


def test_what_is_left_out_is_null(api):
    made = api.post("/contacts", {"email": "bob@example.net", "first_name": None}).json()
    assert (made["first_name"], made["last_name"], made["properties"]) == (None, None, {})


def test_an_address_has_its_domain_in_a_labels(api):
    made = api.post("/contacts", {"email": " Ann@BÜCHER.example "}).json()
    assert made["email"] == "Ann@xn--bcher-kva.example"
    assert api.get("/contacts/ANN@bücher.example").json()["id"] == made["id"]


def test_an_address_is_one_contact_and_the_refusal_names_it(api, ann, told):
    answer = api.post("/contacts", {"email": "ANN@example.net"})
    assert (answer.status_code, answer.json()["name"]) == (409, "contact_exists")
    assert answer.json()["details"] == {"id": ann["id"]}
    assert len(told("contact.created")) == 1


def test_a_refused_contact_leaves_no_suppression(api, ann, told):
    assert api.post("/contacts", ANN | {"unsubscribed": True}).status_code == 409
    assert not suppressed()
    assert not told("suppression.added")


def test_workspaces_have_contacts_of_their_own(api, stranger, ann):
    assert stranger.post("/contacts", ANN).status_code == 201
    for answer in (
        stranger.get(f"/contacts/{ann['id']}"),
        stranger.patch(f"/contacts/{ann['id']}", {"first_name": "Eve"}),
        stranger.delete(f"/contacts/{ann['id']}"),
    ):
        assert answer.status_code == 404
    assert api.get("/contacts/ann@example.net").json() == ann
    assert [each["id"] for each in api.get("/contacts").json()["data"]] == [ann["id"]]


def test_one_key_adds_one_contact(api, told):
    first, again = (
        api.post("/contacts", ANN, headers={"Idempotency-Key": "once"}) for _ in range(2)
    )
    assert (again.status_code, again.json()) == (201, first.json())
    assert again["Idempotent-Replayed"] == "true"
    assert len(told("contact.created")) == 1


@pytest.mark.parametrize(
    ("fields", "named"),
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
def test_a_wrong_field_is_named(api, fields, named):
    assert problems(api.post("/contacts", ANN | fields)) == {named}
    assert not Contact.objects.exists()


@pytest.mark.parametrize("value", [2**53, -(2**53), 1e-300, 0.1, 5.0, "", "ü", False])
def test_a_property_comes_back_as_it_was(api, value):
    api.post("/contacts", ANN | {"properties": {"a": value}})
    assert api.get("/contacts/ann@example.net").json()["properties"]["a"]["value"] == value


# --- Reading --------------------------------------------------------------------------


def test_contacts_are_listed_newest_first(api):
    made = [api.post("/contacts", {"email": f"p{n}@example.net"}).json()["id"] for n in range(3)]
    first = api.get("/contacts?limit=2").json()
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (made[:0:-1], True)
    rest = api.get(f"/contacts?after={made[1]}").json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (made[:1], False)


def test_a_list_is_one_statement(api, django_assert_num_queries):
    for number in range(3):
        api.post("/contacts", {"email": f"p{number}@example.net"})
    with django_assert_num_queries(2):  # the key, the page
        api.get("/contacts")


def test_a_contact_is_found_by_id_and_by_any_spelling(api, ann):
    for given in (ann["id"], "ann@example.net", "ANN%40Example.Net"):
        assert api.get(f"/contacts/{given}").json() == ann


def test_an_address_may_have_a_slash(api):
    made = api.post("/contacts", {"email": "a/b+c@example.net"}).json()
    assert api.get("/contacts/a%2Fb%2Bc%40example.net").json() == made


@pytest.mark.parametrize("given", ["nonsense", "a@b", "x@example.net", "a%00@example.net", "a/b/"])
def test_whom_nobody_knows_is_404(api, ann, given):
    for method in (api.get, api.patch, api.delete):
        assert method(f"/contacts/{given}").json()["name"] == "not_found"


@pytest.mark.parametrize("url", ["/audiences/a/contacts", "/segments/a/contacts", "/audiences"])
def test_audiences_and_segments_are_said_not_to_exist(api, url):
    answer = api.get(url)
    assert answer.status_code == 404
    assert "audience_id" in answer.json()["message"]


# --- Changing -------------------------------------------------------------------------


def test_only_what_changed_is_told(api, ann, told):
    changes = {"first_name": "Anna", "last_name": "Lee", "unsubscribed": False}
    changed = api.patch(f"/contacts/{ann['id']}", changes).json()
    assert changed == ann | {"first_name": "Anna"}
    (event,) = told("contact.updated")
    assert event.pop("changed_fields") == ["first_name"]
    assert event["first_name"] == "Anna"


def test_nothing_is_told_when_nothing_changes(api, ann, told):
    again = {"id": ann["id"], **ANN, "email": "ANN@EXAMPLE.NET", "properties": {"gone": None}}
    assert api.patch(f"/contacts/{ann['id']}", again).json() == ann
    assert api.patch(f"/contacts/{ann['id']}", {}).json() == ann
    assert not told("contact.updated")


def test_properties_are_merged_by_name(api, ann, told):
    url = f"/contacts/{ann['id']}"
    api.patch(url, {"properties": {"a": 1, "b": "x"}})
    changed = api.patch(url, {"properties": {"a": True, "b": None, "c": 2}}).json()
    assert changed["properties"] == {
        "a": {"value": True, "type": "boolean"},
        "c": {"value": 2, "type": "number"},
    }
    api.patch(url, {"properties": {"a": True}})
    assert [event["changed_fields"] for event in told("contact.updated")] == [["properties"]] * 2


def test_true_in_the_place_of_1_is_a_change(api, ann):
    url = f"/contacts/{ann['id']}"
    api.patch(url, {"properties": {"a": 1}})
    assert api.patch(url, {"properties": {"a": True}}).json()["properties"]["a"]["value"] is True


def test_properties_stay_within_their_number(api, ann):
    url = f"/contacts/{ann['id']}"
    api.patch(url, {"properties": {f"a{number}": 1 for number in range(50)}})
    assert problems(api.patch(url, {"properties": {"b": 1}})) == {"properties"}
    assert api.patch(url, {"properties": {"b": 1, "a0": None}}).status_code == 200


def test_a_name_can_be_taken_away(api, ann):
    assert api.patch(f"/contacts/{ann['id']}", {"first_name": None}).json()["first_name"] is None


def test_an_address_can_change_to_one_that_is_free(api, ann, told):
    bob = api.post("/contacts", {"email": "bob@example.net"}).json()
    url = f"/contacts/{ann['id']}"
    answer = api.patch(url, {"email": "BOB@example.net"})
    assert (answer.status_code, answer.json()["details"]) == (409, {"id": bob["id"]})
    assert api.patch(url, {"email": "new@example.net"}).json()["email"] == "new@example.net"
    assert [event["changed_fields"] for event in told("contact.updated")] == [["email"]]


# --- No more mail ---------------------------------------------------------------------


def test_unsubscribing_suppresses_and_subscribing_lifts_that(api, ann, told):
    url = f"/contacts/{ann['id']}"
    assert api.patch(url, {"unsubscribed": True}).json()["unsubscribed"] is True
    assert suppressed() == [("ann@example.net", "unsubscribed")]
    assert api.patch(url, {"unsubscribed": False}).json()["unsubscribed"] is False
    assert suppressed() == []
    assert len(told("suppression.added")) == len(told("suppression.removed")) == 1
    assert [event["unsubscribed"] for event in told("contact.updated")] == [True, False]


def test_subscribing_lifts_no_other_suppression(api, ann):
    url = f"/contacts/{ann['id']}"
    api.patch(url, {"unsubscribed": True})
    api.post("/suppressions", {"email": "ann@example.net", "reason": "bounce"})
    api.patch(url, {"unsubscribed": False})
    assert suppressed() == [("ann@example.net", "bounce")]


def test_who_unsubscribed_is_not_subscribed_by_being_added_anew(api, ann):
    api.patch(f"/contacts/{ann['id']}", {"unsubscribed": True})
    api.delete(f"/contacts/{ann['id']}")
    assert suppressed() == [("ann@example.net", "unsubscribed")]
    assert api.post("/contacts", ANN | {"unsubscribed": False}).json()["unsubscribed"] is True


def test_a_contact_added_as_unsubscribed_is_suppressed(api):
    assert api.post("/contacts", ANN | {"unsubscribed": True}).json()["unsubscribed"] is True
    assert suppressed() == [("ann@example.net", "unsubscribed")]


def test_an_unsubscribed_contact_is_so_at_a_new_address_too(api, ann):
    url = f"/contacts/{ann['id']}"
    api.patch(url, {"unsubscribed": True})
    api.patch(url, {"email": "new@example.net"})
    assert suppressed() == [(f"{name}@example.net", "unsubscribed") for name in ("ann", "new")]


def test_removing_the_suppression_of_who_unsubscribed_subscribes_them(api, ann, told):
    api.patch(f"/contacts/{ann['id']}", {"unsubscribed": True})
    assert api.delete("/suppressions/ann@example.net").status_code == 200
    assert api.get(f"/contacts/{ann['id']}").json()["unsubscribed"] is False
    assert suppressed() == []
    assert [event["unsubscribed"] for event in told("contact.updated")] == [True, False]


def test_removing_a_bounce_leaves_the_wish_for_no_mail(api, stranger, ann):
    stranger.post("/contacts", ANN | {"unsubscribed": True})
    api.patch(f"/contacts/{ann['id']}", {"unsubscribed": True})
    bounce = api.post("/suppressions", {"email": "ann@example.net", "reason": "bounce"}).json()
    api.delete(f"/suppressions/{bounce['id']}")
    left = api.get("/suppressions/ann@example.net").json()
    assert left["origin"] == "unsubscribed"
    assert left["id"] != bounce["id"]
    assert api.get(f"/contacts/{ann['id']}").json()["unsubscribed"] is True


def test_a_wish_goes_to_the_address_that_the_contact_has_by_then(api, ann):
    read_before = Contact.objects.get()
    api.patch(f"/contacts/{ann['id']}", {"email": "new@example.net"})
    update_contact(read_before, {"unsubscribed": True})
    assert suppressed() == [("new@example.net", "unsubscribed")]


# --- Deleting -------------------------------------------------------------------------


def test_a_deleted_contact_is_told_and_gone(api, ann, told):
    answer = api.delete("/contacts/ann@example.net")
    assert answer.json() == {
        "object": "contact",
        "id": ann["id"],
        "contact": ann["id"],
        "deleted": True,
    }
    assert api.get(f"/contacts/{ann['id']}").status_code == 404
    assert [event["email"] for event in told("contact.deleted")] == ["Ann@example.net"]


# --- At the same time -----------------------------------------------------------------


def at_once(*acts):
    """Run these at the same time, each with a connection of its own; what they raised."""
    start, raised = threading.Barrier(len(acts)), []

    def run(act):
        try:
            start.wait(5)
            act()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return raised


@pytest.mark.django_db(transaction=True)
def test_changes_at_the_same_time_are_all_kept(api, ann, told):
    contact = Contact.objects.get()
    changes = [{"properties": {f"p{number}": number}} for number in range(8)]
    changes += [{"first_name": "Anna"}, {"unsubscribed": True}]
    assert not at_once(*[lambda it=it: update_contact(contact, it) for it in changes])
    contact.refresh_from_db()
    assert set(contact.properties) == {f"p{number}" for number in range(8)}
    assert (contact.first_name, contact.unsubscribed) == ("Anna", True)
    assert len(told("contact.updated")) == 10


@pytest.mark.django_db(transaction=True)
def test_a_wish_and_its_opposite_leave_contact_and_suppression_in_step(api, ann):
    contact = Contact.objects.get()

    def wish(value):
        for _ in range(10):
            update_contact(contact, {"unsubscribed": value})

    def remove():
        for _ in range(10):
            api.delete("/suppressions/ann@example.net")

    assert not at_once(lambda: wish(True), lambda: wish(False), remove)
    contact.refresh_from_db()
    assert contact.unsubscribed == Suppression.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_address_added_twice_at_once_is_one_contact(api):
    def add():
        assert api.post("/contacts", ANN).status_code in {201, 409}

    assert not at_once(*[add] * 5)
    assert Contact.objects.count() == 1
