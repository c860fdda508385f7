"""`/suppressions`: single suppressions by id or address, lists and batches."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from accounts.services import create_workspace
from contacts.models import Suppression
from contacts.suppressions import SuppressionRequest, suppress
from core.db.ids import uuid7
from emails.facts.record import EmailFact, record_facts
from tests.clients import rejected_fields

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIMULATOR_ADDRESS = "bounce+1@simulator.amazonses.com"
UNKNOWN_ID = "01890000-0000-7000-8000-000000000000"


def add(api, email="bob@example.net", **fields):
    answer = api.post("/suppressions", {"email": email, **fields})
    assert answer.status_code == 200, answer.content
    return answer.json()


def listed(api, query=""):
    answer = api.get(f"/suppressions{query}")
    assert answer.status_code == 200, answer.content
    return [each["email"] for each in answer.json()["data"]]


# --- Single suppressions --------------------------------------------------------------


def test_adding_a_suppression_publishes_an_event(api, published):
    created = add(api, " Bob@BÜCHER.example ")
    assert created.pop("object") == "suppression"
    assert created.pop("event_id") is None
    assert (created["email"], created["origin"]) == ("bob@xn--bcher-kva.example", "manual")
    assert published("suppression.added") == [created]


@pytest.mark.parametrize("name", ["reason", "origin"])
def test_a_suppression_can_have_a_reason(api, name):
    assert add(api, **{name: "complaint"})["origin"] == "complaint"
    body = {"email": "bob@example.net", name: "unknown"}
    assert set(api.post("/suppressions", body).json()["details"]["fields"]) == {name}


@pytest.mark.parametrize("path", ["/suppressions", "/suppressions/batch/add"])
def test_origin_and_reason_cannot_both_be_given(api, path):
    target = (
        {"email": "bob@example.net"} if path == "/suppressions" else {"emails": ["b@example.net"]}
    )
    answer = api.post(path, target | {"origin": "manual", "reason": "manual"})
    assert answer.status_code == 422
    fields = answer.json()["details"]["fields"]
    assert fields == {"reason": "give `origin` or `reason`, not both"}


def test_a_suppression_shows_its_cause(api, workspace):
    email, event = uuid7(), uuid7()
    suppress([SuppressionRequest(workspace.pk, "bob@example.net", "bounce", NOON, email, event)])
    suppression = api.get("/suppressions/bob@example.net").json()
    assert (suppression["source_id"], suppression["event_id"]) == (str(email), str(event))
    assert suppression["created_at"] == "2026-03-01T12:00:00.000Z"


def test_a_bounce_suppression_names_its_email_and_event(api, domain):
    email = {"from": "a@example.com", "to": "bob@example.net", "subject": "s", "text": "t"}
    sent = UUID(api.post("/emails", email).json()["id"])
    bounce = EmailFact(
        email_id=sent,
        type="bounced",
        occurred_at=NOON,
        recipient="bob@example.net",
        status="bounced",
        suppress_as="bounce",
        is_published=False,
    )
    record_facts([bounce])
    suppression = api.get("/suppressions/bob@example.net").json()
    (event,) = api.get(f"/emails/{sent}/events").json()["data"]
    assert (suppression["source_id"], suppression["event_id"]) == (str(sent), event["id"])


def test_adding_a_suppressed_address_again_changes_nothing(api, published):
    first = add(api, reason="complaint")
    assert add(api, "BOB@example.net", reason="bounce") == first
    assert len(published("suppression.added")) == 1


def test_a_stronger_reason_replaces_a_weaker_one(api, published):
    first = add(api, reason="unsubscribed")
    again = add(api, reason="bounce")
    assert (again["id"], again["origin"]) == (first["id"], "bounce")
    assert len(published("suppression.added")) == 1


def test_the_mailbox_simulator_is_refused(api):
    answer = api.post("/suppressions", {"email": SIMULATOR_ADDRESS})
    assert set(rejected_fields(answer)) == {"email"}
    assert "simulator" in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "invalid"),
    [
        ({"email": "bob"}, "email"),
        ({"email": "Bob <bob@example.net>"}, "email"),
        ({"email": "bob@example.net", "reason": "unknown"}, "reason"),
        ({"email": "bob@example.net", "why": "x"}, "why"),
        ({}, "email"),
    ],
)
def test_an_invalid_field_is_named(api, body, invalid):
    assert set(rejected_fields(api.post("/suppressions", body))) == {invalid}


def test_an_idempotency_key_adds_once(api, published):
    first, again = (
        api.post("/suppressions", {"email": "b@example.net"}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert (again["Idempotent-Replayed"], again.json()) == ("true", first.json())


def test_a_suppression_is_found_by_id_and_by_address(api):
    created = add(api, "b/o+b@example.net")
    for given in (created["id"], "B%2Fo%2Bb@example.net"):
        assert api.get(f"/suppressions/{given}").json() == created


@pytest.mark.parametrize("given", ["id", "address"])
def test_a_suppression_is_removed_once_with_an_event(api, published, given):
    created = add(api)
    url = f"/suppressions/{created['id'] if given == 'id' else 'Bob@Example.net'}"
    answer = api.delete(url).json()
    assert answer == {
        "object": "suppression",
        "id": created["id"],
        "deleted": True,
        "ses_list": "removing",
    }
    assert [event["id"] for event in published("suppression.removed")] == [created["id"]]
    assert api.delete(url).status_code == 404


@pytest.mark.parametrize(
    "given", ["nonsense", UNKNOWN_ID, "x@example.net", "a@b", "a%00@example.net"]
)
def test_an_unknown_suppression_is_a_404(api, given):
    add(api)
    for method in (api.get, api.delete):
        assert method(f"/suppressions/{given}").json()["name"] == "not_found"


def test_other_workspaces_cannot_see_or_remove_a_suppression(api, stranger):
    created = add(api)
    for given in (created["id"], "bob@example.net"):
        assert stranger.get(f"/suppressions/{given}").status_code == 404
        assert stranger.delete(f"/suppressions/{given}").status_code == 404
    both = ({"ids": [created["id"]]}, {"emails": ["bob@example.net"]})
    assert [stranger.post("/suppressions/batch/remove", it).json()["data"] for it in both] == [
        []
    ] * 2
    assert listed(stranger) == []
    assert b"bob" not in b"".join(stranger.get("/suppressions/export").streaming_content)
    assert listed(api) == ["bob@example.net"]


# --- Lists ----------------------------------------------------------------------------


@pytest.fixture
def three_suppressions(workspace):
    """Three suppressions, created on 1, 2 and 3 March."""
    for day, origin in enumerate(["bounce", "complaint", "bounce"]):
        at = NOON + timedelta(days=day)
        suppress([SuppressionRequest(workspace.pk, f"r{day + 1}@example.net", origin, at)])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [3, 2, 1]),
        ("?origin=bounce", [3, 1]),
        ("?reason=complaint", [2]),
        ("?origin=manual", []),
        ("?email=R2@EXAMPLE.net", [2]),
        ("?email=x@example.net", []),
        ("?created_after=2026-03-02T12:00:00Z", [3, 2]),
        ("?created_before=2026-03-02T12:00:00Z", [1]),
        ("?created_after=2026-03-02T00:00:00Z&created_before=2026-03-03T00:00:00Z", [2]),
        ("?origin=bounce&created_after=2026-03-02T00:00:00%2B00:00&limit=1", [3]),
    ],
)
def test_lists_can_be_filtered(api, three_suppressions, query, expected):
    assert listed(api, query) == [f"r{number}@example.net" for number in expected]


def test_filtered_lists_are_paginated(api, three_suppressions):
    first = api.get("/suppressions?origin=bounce&limit=1").json()
    assert first["has_more"] is True
    assert listed(api, f"?origin=bounce&after={first['data'][0]['id']}") == ["r1@example.net"]


@pytest.mark.parametrize(
    ("query", "invalid"),
    [
        ("origin=unknown", "origin"),
        ("reason=", "reason"),
        ("email=bob", "email"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-03-01", "created_before"),
    ],
)
@pytest.mark.parametrize("path", ["/suppressions", "/suppressions/export"])
def test_an_invalid_filter_is_named(api, path, query, invalid):
    assert set(rejected_fields(api.get(f"{path}?{query}"))) == {invalid}


# --- Batches --------------------------------------------------------------------------


def test_a_batch_adds_each_address_once(api, published):
    existing = add(api, "bob@example.net", reason="complaint")
    emails = ["Bob@example.net", "ann@example.net", " ANN@example.net"]
    answer = api.post("/suppressions/batch/add", {"emails": emails, "reason": "bounce"})
    assert answer.status_code == 200
    added = {each["email"]: each for each in answer.json()["data"]}
    assert added.keys() == {"bob@example.net", "ann@example.net"}
    assert added["bob@example.net"] == existing
    assert added["ann@example.net"]["origin"] == "bounce"
    assert len(published("suppression.added")) == 2


def test_a_batch_with_an_invalid_address_adds_none(api):
    answer = api.post(
        "/suppressions/batch/add", {"emails": ["a@example.net", "b", SIMULATOR_ADDRESS]}
    )
    assert set(rejected_fields(answer)) == {"emails.1", "emails.2"}
    assert not listed(api)


def test_a_batch_can_be_removed_by_addresses_or_ids(api, published):
    ids = {name: add(api, f"{name}@example.net")["id"] for name in "abc"}
    answer = api.post("/suppressions/batch/remove", {"emails": ["A@example.net", "x@example.net"]})
    assert answer.json()["data"] == [
        {"object": "suppression", "id": ids["a"], "deleted": True, "ses_list": "removing"}
    ]
    answer = api.post(
        "/suppressions/batch/remove", {"ids": [ids["b"], ids["b"], UNKNOWN_ID, ids["a"]]}
    )
    assert [each["id"] for each in answer.json()["data"]] == [ids["b"]]
    assert [event["email"] for event in published("suppression.removed")] == [
        "a@example.net",
        "b@example.net",
    ]
    assert listed(api) == ["c@example.net"]


@pytest.mark.parametrize(
    ("kind", "body", "invalid"),
    [
        ("add", {}, "emails"),
        ("add", {"emails": []}, "emails"),
        ("add", {"emails": ["a@example.net"] * 101}, "emails"),
        ("add", {"emails": "a@example.net"}, "emails"),
        ("remove", {}, "body"),
        ("remove", {"emails": ["a@example.net"], "ids": [UNKNOWN_ID]}, "body"),
        ("remove", {"ids": ["x"]}, "ids.0"),
        ("remove", {"ids": [UNKNOWN_ID] * 101}, "ids"),
        ("remove", {"emails": ["a"]}, "emails.0"),
    ],
)
def test_an_invalid_batch_names_the_field(api, kind, body, invalid):
    assert set(rejected_fields(api.post(f"/suppressions/batch/{kind}", body))) == {invalid}


@pytest.mark.parametrize("size", [2, 100])
def test_a_batch_of_any_size_takes_the_same_number_of_statements(
    api, size, django_assert_num_queries
):
    emails = [f"r{number}@example.net" for number in range(size)]
    for email in emails:
        api.post("/contacts", {"email": email})
    with django_assert_num_queries(6):  # the key, savepoint, rows, events, release, rows
        api.post("/suppressions/batch/add", {"emails": emails, "reason": "unsubscribed"})
    for email in emails:
        api.patch(f"/contacts/{email}", {"unsubscribed": True})
    # the key, rows, savepoint, lock, delete, events, contacts and their events, release
    with django_assert_num_queries(10):
        api.post("/suppressions/batch/remove", {"emails": emails})
    assert not listed(api)


def test_unsuppressing_resubscribes_only_contacts_of_the_same_workspace(api, workspace):
    """Two workspaces have the same contacts; each loses only its own suppression."""
    from contacts.models import Contact
    from contacts.suppressions import unsuppress

    other = create_workspace(name="Bob's")
    for tenant, email in ((workspace, "a@example.net"), (other, "b@example.net")):
        suppress([SuppressionRequest(tenant.pk, email, "unsubscribed", NOON, UUID(int=1))])
        for person in ("a@example.net", "b@example.net"):
            Contact.objects.create(workspace=tenant, email=person, unsubscribed=True)
    unsuppress(list(Suppression.objects.all()))
    unsubscribed = Contact.objects.filter(unsubscribed=True).values_list("workspace", "email")
    assert set(unsubscribed) == {(workspace.pk, "b@example.net"), (other.pk, "a@example.net")}
