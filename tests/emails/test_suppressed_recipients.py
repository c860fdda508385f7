"""Suppressed recipients are dropped, at accept and again right before the provider call."""

import pytest

from contacts.models import Suppression
from core.queue.queues import Batch
from emails.models import Email
from emails.sending.loop import send_due
from tests.database import recipient_statuses

pytestmark = pytest.mark.django_db


@pytest.fixture
def suppress(workspace):
    def add(address, origin="bounce"):
        return Suppression.objects.create(workspace=workspace, email=address, origin=origin)

    return add


def test_an_email_to_suppressed_recipients_only_is_rejected_stored_and_published(
    send, suppress, published, provider, api
):
    suppress("bob@example.net", "complaint")

    answer = send(to="Bob@example.net")

    assert (answer.status_code, answer.json()["name"]) == (422, "recipient_suppressed")
    details = answer.json()["details"]
    assert details["recipients"] == {"Bob@example.net": "complaint"}
    email = Email.objects.get(pk=details["email_id"])
    assert (email.status, email.next_attempt_at) == ("suppressed", None)
    assert recipient_statuses(email) == {"Bob@example.net": "suppressed"}
    ((kind, data),) = published()
    assert (kind, data["recipient"]) == ("email.suppressed", "Bob@example.net")
    assert data["suppressed"]["type"] == "complaint"
    assert (data["email_id"], data["to"]) == (str(email.pk), ["Bob@example.net"])
    assert send_due().claimed == 0
    assert api.get(f"/emails/{email.pk}/events").json()["data"][0]["type"] == "suppressed"


def test_a_rejected_email_does_not_use_up_its_idempotency_key(
    api, domain, message, suppress, published
):
    suppress("bob@example.net")

    def post():
        return api.post("/emails", message, headers={"Idempotency-Key": "one"})

    rejected = post()
    assert (rejected.status_code, rejected.json()["name"]) == (422, "recipient_suppressed")
    assert Email.objects.get(pk=rejected.json()["details"]["email_id"]).status == "suppressed"
    assert len(published("email.suppressed")) == 1
    Suppression.objects.all().delete()
    assert post().status_code == 200
    assert Email.objects.count() == 2


def test_the_other_recipients_still_get_the_email(accepted, suppress, published, provider):
    suppress("bob@example.net")
    suppress("eve@example.net", "unsubscribed")

    email = accepted(
        to=["bob@example.net", "ann@example.net"], cc="carla@example.net", bcc="eve@example.net"
    )
    assert sorted(data["recipient"] for _, data in published("email.suppressed")) == [
        "bob@example.net",
        "eve@example.net",
    ]
    assert email.status == "queued"
    assert send_due().claimed == 1

    (sent,) = provider.sent
    assert (sent.to, sent.cc, sent.bcc) == (["ann@example.net"], ["carla@example.net"], [])
    assert recipient_statuses(email) == {
        "bob@example.net": "suppressed",
        "ann@example.net": "sent",
        "carla@example.net": "sent",
        "eve@example.net": "suppressed",
    }
    email.refresh_from_db()
    assert email.status == "sent"


def test_a_suppression_after_accept_is_respected(accepted, suppress, published, provider):
    email = accepted(to=["bob@example.net", "ann@example.net"])
    suppress("bob@example.net")

    assert send_due().claimed == 1

    assert provider.sent[0].to == ["ann@example.net"]
    assert recipient_statuses(email) == {"bob@example.net": "suppressed", "ann@example.net": "sent"}
    assert [data["recipient"] for _, data in published("email.suppressed")] == ["bob@example.net"]


def test_an_email_whose_last_recipient_was_suppressed_is_not_sent(
    accepted, suppress, published, provider
):
    email = accepted()
    suppress("bob@example.net")

    assert send_due() == Batch(claimed=1, processed=1)

    assert not provider.sent
    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("suppressed", None)
    assert [kind for kind, _ in published()] == ["email.suppressed"]


def test_a_retry_drops_recipients_suppressed_in_between(accepted, suppress, provider):
    from emails.providers import NotTaken

    accepted(to=["bob@example.net", "ann@example.net"])
    provider.script = [NotTaken("throttled")]
    send_due()
    suppress("ann@example.net")
    Email.objects.update(next_attempt_at="2026-01-01T00:00Z")
    send_due()

    assert [sent.to for sent in provider.sent] == [
        ["bob@example.net", "ann@example.net"],
        ["bob@example.net"],
    ]


def test_suppressions_of_another_workspace_do_not_apply(accepted, provider, db):
    from accounts.services import create_workspace

    Suppression.objects.create(
        workspace=create_workspace(name="Bob's"), email="bob@example.net", origin="bounce"
    )
    accepted()

    assert send_due().claimed == 1


def test_a_batch_stores_a_fully_suppressed_email_and_accepts_the_others(
    api, domain, message, suppress, published
):
    suppress("bob@example.net")

    answer = api.post("/emails/batch", [message, message | {"to": "ann@example.net"}])

    assert answer.status_code == 200
    email_statuses = [Email.objects.get(pk=each["id"]).status for each in answer.json()["data"]]
    assert email_statuses == ["suppressed", "queued"]
    assert len(published("email.suppressed")) == 1
