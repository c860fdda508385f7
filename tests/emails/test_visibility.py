"""Who may read which emails: a workspace its own, a key that only sends what it sent itself."""

import pytest

from accounts.access import SENDING_ACCESS, Access, Actor, ActorKind
from emails.models import Email
from tests.clients import sending_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def sender(workspace):
    """`sender(name)`: the HTTP client of a new key of Alice's that may only send."""
    return lambda name: sending_client(workspace, name=name)


@pytest.fixture
def attached(message):
    return message | {"attachments": [{"filename": "a", "content": ""}]}


def paths(api, email_id):
    """Every path that shows the email."""
    attachments = f"/emails/{email_id}/attachments"
    (attachment,) = api.get(attachments).json()["data"]
    return [
        f"/emails/{email_id}",
        f"/emails/{email_id}/events",
        f"/emails/{email_id}/trace",
        attachments,
        f"{attachments}/{attachment['id']}",
    ]


def listed(client):
    return [each["id"] for each in client.get("/emails").json()["data"]]


def test_a_key_that_only_sends_reads_what_it_sent_itself(api, stranger, sender, domain, attached):
    one, other = sender("one"), sender("other")
    ids = [client.post("/emails", attached).json()["id"] for client in (one, other, api)]

    for client, visible in ((one, ids[:1]), (other, ids[1:2]), (api, ids), (stranger, [])):
        assert listed(client) == visible[::-1]
        for email_id in ids:
            expected = 200 if email_id in visible else 404
            for path in paths(api, email_id):
                assert client.get(path).status_code == expected, path


def test_emails_of_a_batch_are_the_keys_own(api, sender, domain, message):
    one, other = sender("one"), sender("other")
    (sent,) = one.post("/emails/batch", [message]).json()["data"]
    assert (listed(one), listed(other), listed(api)) == ([sent["id"]], [], [sent["id"]])


def test_a_key_that_only_sends_changes_nothing_of_its_own(sender, domain, message):
    one = sender("one")
    email_id = one.post("/emails", message | {"scheduled_at": "in 1 hour"}).json()["id"]
    for answer in (
        one.patch(f"/emails/{email_id}", {"scheduled_at": "in 2 hours"}),
        one.post(f"/emails/{email_id}/cancel"),
    ):
        assert (answer.status_code, answer.json()["name"]) == (403, "restricted_api_key")
    assert Email.objects.get().status == "scheduled"


def test_a_stranger_changes_nothing(api, stranger, domain, message):
    email_id = api.post("/emails", message | {"scheduled_at": "in 1 hour"}).json()["id"]
    for answer in (
        stranger.patch(f"/emails/{email_id}", {"scheduled_at": "in 2 hours"}),
        stranger.post(f"/emails/{email_id}/cancel"),
    ):
        assert (answer.status_code, answer.json()["name"]) == (404, "not_found")
    assert Email.objects.get().status == "scheduled"


def test_a_caller_without_a_key_does_not_read_the_email_that_has_none(api, domain, message):
    email_id = api.post("/emails", message).json()["id"]
    Email.objects.update(api_key=None)
    (email,) = Email.objects.all()
    limited = Access(email.workspace, Actor(ActorKind.SYSTEM), SENDING_ACCESS)

    assert not Email.objects.visible_to(limited).exists()
    assert Email.objects.visible_to(Access.of_system(email.workspace)).get().pk == email.pk
    assert listed(api) == [email_id]
