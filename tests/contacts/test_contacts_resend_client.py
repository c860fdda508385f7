"""Resend's Python client, sync and async, manages contacts and suppressions."""

import asyncio

import pytest
import resend

from tests.clients import use_resend

pytestmark = pytest.mark.django_db(transaction=True)

UNKNOWN_ID = "018f0000-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def _client(live_server, api_key, monkeypatch):
    use_resend(monkeypatch, live_server.url, api_key[1])


def _blocking(resource):
    """The resource with its `..._async` methods called in place of the sync ones."""

    class Blocking:
        def __getattr__(self, name):
            method = getattr(resource, f"{name}_async")
            return lambda *args, **named: asyncio.run(method(*args, **named))

    return Blocking()


@pytest.fixture(params=["sync", "async"])
def contacts(request):
    return resend.Contacts if request.param == "sync" else _blocking(resend.Contacts)


@pytest.fixture(params=["sync", "async"])
def suppressions(request):
    return resend.Suppressions if request.param == "sync" else _blocking(resend.Suppressions)


@pytest.fixture
def batch(suppressions):
    is_sync = suppressions is resend.Suppressions
    return resend.Suppressions.Batch if is_sync else _blocking(resend.Suppressions.Batch)


def test_the_lifecycle_of_a_contact(contacts):
    created = contacts.create(
        {"email": "a+n/n@example.net", "first_name": "Ann", "properties": {"plan": "pro"}}
    )
    assert created["object"] == "contact"

    changed = contacts.update({"email": "a+n/n@example.net", "unsubscribed": True})
    assert changed["id"] == created["id"]
    contacts.update({"id": created["id"], "last_name": "Lee", "properties": {"seats": 5}})

    got = contacts.get(email="a+n/n@example.net")
    assert got["id"] == contacts.get(id=created["id"])["id"] == created["id"]
    assert (got["first_name"], got["last_name"], got["unsubscribed"]) == ("Ann", "Lee", True)
    assert got["properties"]["plan"] == {"value": "pro", "type": "string"}
    assert got["properties"]["seats"] == {"value": 5, "type": "number"}

    listed = contacts.list(params={"limit": 1})
    assert ([each["id"] for each in listed["data"]], listed["has_more"]) == ([created["id"]], False)

    removed = contacts.remove(email="A+N/N@example.net")
    assert (removed["contact"], removed["deleted"]) == (created["id"], True)
    assert contacts.list()["data"] == []


def test_a_refused_request_raises_with_the_reason(contacts):
    contacts.create({"email": "ann@example.net"})
    with pytest.raises(resend.exceptions.ResendError, match="Update that one"):
        contacts.create({"email": "ann@example.net"})
    with pytest.raises(resend.exceptions.ValidationError, match="segments"):
        contacts.create({"email": "bob@example.net", "segments": [{"id": UNKNOWN_ID}]})
    with pytest.raises(resend.exceptions.ResendError, match="no contact"):
        contacts.get(id=UNKNOWN_ID)


def test_audiences_and_segments_raise_with_the_field_to_leave_out(contacts):
    for call in (
        lambda: contacts.create({"email": "a@example.net", "audience_id": UNKNOWN_ID}),
        lambda: contacts.update({"email": "a@example.net", "audience_id": UNKNOWN_ID}),
        lambda: contacts.get(UNKNOWN_ID, email="a@example.net"),
        lambda: contacts.remove(UNKNOWN_ID, email="a@example.net"),
        lambda: contacts.list(UNKNOWN_ID),
        lambda: contacts.list(segment_id=UNKNOWN_ID),
    ):
        with pytest.raises(resend.exceptions.ResendError, match="audience_id"):
            call()


def test_the_lifecycle_of_a_suppression(suppressions):
    created = suppressions.add({"email": "B/ob@example.net"})
    assert created["object"] == "suppression"
    assert suppressions.add({"email": "b/ob@example.net"})["id"] == created["id"]

    got = suppressions.get("b/ob@example.net")
    assert got["id"] == suppressions.get(created["id"])["id"] == created["id"]
    assert (got["email"], got["origin"], got["source_id"]) == ("b/ob@example.net", "manual", None)

    assert suppressions.list({"origin": "bounce"})["data"] == []
    listed = suppressions.list({"origin": "manual", "limit": 1})
    assert ([each["id"] for each in listed["data"]], listed["has_more"]) == ([created["id"]], False)

    removed = suppressions.remove("b/ob@example.net")
    assert (removed["id"], removed["deleted"]) == (created["id"], True)
    with pytest.raises(resend.exceptions.ResendError, match="no suppression"):
        suppressions.get(created["id"])


def test_suppressions_in_batches(suppressions, batch):
    emails = ["a@example.net", "b@example.net", "A@example.net"]
    added = batch.add({"emails": emails})["data"]
    assert len(added) == 2
    assert {each["object"] for each in added} == {"suppression"}

    (removed,) = batch.remove({"emails": ["a@example.net", "c@example.net"]})["data"]
    assert removed["deleted"] is True
    (remaining,) = suppressions.list()["data"]
    assert [each["id"] for each in batch.remove({"ids": [remaining["id"]]})["data"]] == [
        remaining["id"]
    ]
