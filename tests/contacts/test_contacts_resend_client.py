"""Resend's own Python client, sync and async, manages contacts and suppressions here."""

import asyncio

import pytest
import resend

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY = "018f0000-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def _client(live_server, api_key, monkeypatch):
    monkeypatch.setattr(resend, "api_url", live_server.url)
    monkeypatch.setattr(resend, "api_key", api_key[1])


def _awaited(resource):
    """The resource with its `..._async` methods in the place of the others."""

    class Awaited:
        def __getattr__(self, name):
            method = getattr(resource, f"{name}_async")
            return lambda *args, **named: asyncio.run(method(*args, **named))

    return Awaited()


@pytest.fixture(params=["sync", "async"])
def contacts(request):
    return resend.Contacts if request.param == "sync" else _awaited(resend.Contacts)


@pytest.fixture(params=["sync", "async"])
def suppressions(request):
    return resend.Suppressions if request.param == "sync" else _awaited(resend.Suppressions)


@pytest.fixture
def batch(suppressions):
    is_sync = suppressions is resend.Suppressions
    return resend.Suppressions.Batch if is_sync else _awaited(resend.Suppressions.Batch)


def test_a_contact_from_its_creation_to_its_end(contacts):
    made = contacts.create(
        {"email": "a+n/n@example.net", "first_name": "Ann", "properties": {"plan": "pro"}}
    )
    assert made["object"] == "contact"

    changed = contacts.update({"email": "a+n/n@example.net", "unsubscribed": True})
    assert changed["id"] == made["id"]
    contacts.update({"id": made["id"], "last_name": "Lee", "properties": {"seats": 5}})

    got = contacts.get(email="a+n/n@example.net")
    assert got["id"] == contacts.get(id=made["id"])["id"] == made["id"]
    assert (got["first_name"], got["last_name"], got["unsubscribed"]) == ("Ann", "Lee", True)
    assert got["properties"]["plan"] == {"value": "pro", "type": "string"}
    assert got["properties"]["seats"] == {"value": 5, "type": "number"}

    listed = contacts.list(params={"limit": 1})
    assert ([each["id"] for each in listed["data"]], listed["has_more"]) == ([made["id"]], False)

    removed = contacts.remove(email="A+N/N@example.net")
    assert (removed["contact"], removed["deleted"]) == (made["id"], True)
    assert contacts.list()["data"] == []


def test_what_is_refused_raises_and_says_why(contacts):
    contacts.create({"email": "ann@example.net"})
    with pytest.raises(resend.exceptions.ResendError, match="Change that one"):
        contacts.create({"email": "ann@example.net"})
    with pytest.raises(resend.exceptions.ValidationError, match="segments"):
        contacts.create({"email": "bob@example.net", "segments": [{"id": NOBODY}]})
    with pytest.raises(resend.exceptions.ResendError, match="no contact"):
        contacts.get(id=NOBODY)


def test_audiences_and_segments_raise_and_say_what_to_leave_out(contacts):
    for call in (
        lambda: contacts.create({"email": "a@example.net", "audience_id": NOBODY}),
        lambda: contacts.update({"email": "a@example.net", "audience_id": NOBODY}),
        lambda: contacts.get(NOBODY, email="a@example.net"),
        lambda: contacts.remove(NOBODY, email="a@example.net"),
        lambda: contacts.list(NOBODY),
        lambda: contacts.list(segment_id=NOBODY),
    ):
        with pytest.raises(resend.exceptions.ResendError, match="audience_id"):
            call()


def test_a_suppression_from_its_creation_to_its_end(suppressions):
    made = suppressions.add({"email": "B/ob@example.net"})
    assert made["object"] == "suppression"
    assert suppressions.add({"email": "b/ob@example.net"})["id"] == made["id"]

    got = suppressions.get("b/ob@example.net")
    assert got["id"] == suppressions.get(made["id"])["id"] == made["id"]
    assert (got["email"], got["origin"], got["source_id"]) == ("b/ob@example.net", "manual", None)

    assert suppressions.list({"origin": "bounce"})["data"] == []
    listed = suppressions.list({"origin": "manual", "limit": 1})
    assert ([each["id"] for each in listed["data"]], listed["has_more"]) == ([made["id"]], False)

    removed = suppressions.remove("b/ob@example.net")
    assert (removed["id"], removed["deleted"]) == (made["id"], True)
    with pytest.raises(resend.exceptions.ResendError, match="no suppression"):
        suppressions.get(made["id"])


def test_suppressions_in_batches(suppressions, batch):
    emails = ["a@example.net", "b@example.net", "A@example.net"]
    added = batch.add({"emails": emails})["data"]
    assert len(added) == 2
    assert {each["object"] for each in added} == {"suppression"}

    (removed,) = batch.remove({"emails": ["a@example.net", "c@example.net"]})["data"]
    assert removed["deleted"] is True
    (left,) = suppressions.list()["data"]
    assert [each["id"] for each in batch.remove({"ids": [left["id"]]})["data"]] == [left["id"]]
