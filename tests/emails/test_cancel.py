"""Cancelling: an email is cancelled or sent, never both."""

import pytest
from django.db import connection
from django.utils import timezone

from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailRecipient
from emails.providers import NotTaken, OutcomeUnknown, QuotaExceeded, Throttled
from emails.scheduling import NotCancellable, cancel
from emails.sending.loop import send_due
from emails.sending.send_results import resolve_unknown
from tests.clients import sending_client
from tests.database import make_due
from tests.emails.races import sending_begins

ROUNDS = 100


@pytest.mark.django_db
@pytest.mark.parametrize("later", [None, "in 1 hour"])
def test_an_email_that_was_not_sent_is_cancelled(later, send, api, provider, published):
    email_id = send(scheduled_at=later).json()["id"]
    before = published()

    answer = api.post(f"/emails/{email_id}/cancel")

    assert (answer.status_code, answer.json()) == (200, {"object": "email", "id": email_id})
    email = Email.objects.get()
    assert (email.status, email.next_attempt_at) == ("cancelled", None)
    shown = api.get(f"/emails/{email_id}").json()
    assert (shown["status"], shown["last_event"]) == ("cancelled", "canceled")
    assert [each["status"] for each in shown["recipients"]] == ["cancelled"]
    assert shown["recipients"][0]["status_at"]
    assert published() == before
    assert (send_due().claimed, provider.sent) == (0, [])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "status", ["sending", "unknown", "sent", "delivered", "cancelled", "failed", "suppressed"]
)
def test_an_email_that_may_have_been_sent_is_not_cancelled(status, send, api):
    email_id = send(scheduled_at="in 1 hour").json()["id"]
    is_pending = status in ("sending", "unknown")
    Email.objects.update(status=status, next_attempt_at=timezone.now() if is_pending else None)

    answer = api.post(f"/emails/{email_id}/cancel")

    assert (answer.status_code, answer.json()["name"]) == (409, "email_not_cancellable")
    assert answer.json()["details"] == {"status": status}
    assert Email.objects.get().status == status
    assert EmailRecipient.objects.get().status == "queued"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (NotTaken("503"), 200),
        (Throttled("too fast"), 200),
        (QuotaExceeded("daily_quota"), 200),
        (OutcomeUnknown("no answer"), 409),
    ],
)
def test_an_email_is_cancelled_after_an_attempt_unless_it_may_have_been_sent(
    answer, status, send, api, provider
):
    email_id = send().json()["id"]
    provider.script = [answer]
    make_due(Email)
    send_due()
    make_due(Email)
    resolve_unknown()
    assert Email.objects.get().status == "queued"

    assert api.post(f"/emails/{email_id}/cancel").status_code == status

    assert send_due().claimed == (status == 409)


@pytest.mark.django_db
def test_suppressed_recipients_stay_suppressed(send, api, workspace):
    from contacts.models import Suppression

    Suppression.objects.create(workspace=workspace, email="bob@example.net", origin="bounce")
    to = ["bob@example.net", "eve@example.net"]
    email_id = send(to=to, scheduled_at="in 1 hour").json()["id"]

    api.post(f"/emails/{email_id}/cancel")

    recipients = api.get(f"/emails/{email_id}").json()["recipients"]
    assert [each["status"] for each in recipients] == ["suppressed", "cancelled"]
    assert Email.objects.get().status == "cancelled"


@pytest.mark.django_db
def test_proof_that_it_was_sent_outranks_cancelled(send):
    send(scheduled_at="in 1 hour")
    email = Email.objects.get()
    cancel(email)

    record_facts(
        [EmailFact(email_id=email.pk, type="sent", status="sent", occurred_at=timezone.now())]
    )

    assert Email.objects.get().status == "sent"


@pytest.mark.django_db
def test_cancelling_needs_full_access_to_the_workspace(send, stranger, workspace):
    email_id = send(scheduled_at="in 1 hour").json()["id"]
    sender = sending_client(workspace)

    assert stranger.post(f"/emails/{email_id}/cancel").status_code == 404
    assert sender.post(f"/emails/{email_id}/cancel").status_code == 403
    assert sender.patch(f"/emails/{email_id}", {"scheduled_at": "in 2 hours"}).status_code == 403
    assert Email.objects.get().status == "scheduled"


@pytest.mark.django_db(transaction=True)
def test_an_email_is_cancelled_or_sent_but_never_both(domain, api_key, provider):
    """Two connections race for each email: a send worker and a cancel."""
    from accounts.access import Access
    from emails.api.bodies import SendEmail
    from emails.services import accept

    message = {"from": "ada@example.com", "to": "bob@example.net", "subject": "Race", "text": "x"}
    access, outcomes = Access.of_api_key(api_key[0]), {}
    for number in range(ROUNDS):
        body = SendEmail.parse(message | {"scheduled_at": "in 1 hour"})
        (draft,) = accept(access, [body.to_message()])
        email = draft.email
        make_due(Email.objects.filter(pk=email.pk))
        with sending_begins(number):
            try:
                cancel(email)
                outcomes[str(email.pk)] = "cancelled"
            except NotCancellable:
                outcomes[str(email.pk)] = "sent"

    sent = {message.email_id for message in provider.sent}
    assert sent == {key for key, outcome in outcomes.items() if outcome == "sent"}
    assert {str(pk): status for pk, status in Email.objects.values_list("pk", "status")} == outcomes
    assert set(outcomes.values()) == {"cancelled", "sent"}
    assert len(provider.sent) == len(sent)
    assert connection.in_atomic_block is False
