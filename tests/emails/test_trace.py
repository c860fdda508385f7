"""`GET /emails/{id}/trace`: where a mail is, from the request to the webhooks."""

from datetime import timedelta

import pytest
from django.utils import timezone

from emails.api.trace import MAX_FACTS
from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailEvent
from emails.providers import NotTaken
from emails.sending.loop import send_due
from events.models import Event
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def traced(api):
    def get(email_id):
        answer = api.get(f"/emails/{email_id}/trace")
        assert answer.status_code == 200, answer.json()
        return answer.json()

    return get


def due():
    Email.objects.exclude(next_attempt_at=None).update(
        next_attempt_at=timezone.now() - timedelta(minutes=1)
    )


def owed(workspace, event, **changes):
    endpoint = Endpoint.objects.create(
        workspace=workspace, url="https://example.com/hook", event_types=["*"]
    )
    values = {"status": "success", "next_attempt_at": None} | changes
    return Delivery.objects.create(endpoint=endpoint, event=event, **values)


def test_a_mail_is_traced_from_its_request_to_its_webhooks(
    api, domain, message, traced, provider, workspace, api_key
):
    provider.script = [NotTaken("Maximum sending rate exceeded.")]
    email_id = api.post(
        "/emails",
        message | {"scheduled_at": "in 1 hour"},
        headers={"x-request-id": "where-is-it"},
    ).json()["id"]
    for _ in range(2):
        due()
        send_due()
    event = Event.objects.get(type="email.sent")
    delivery = owed(workspace, event, attempts=2, last_status_code=204)

    found = traced(email_id)

    assert (found["object"], found["id"], found["status"]) == ("email_trace", email_id, "sent")
    assert found["accepted"]["request_id"] == "where-is-it"
    assert found["accepted"]["api_key"] == {"id": str(api_key[0].pk), "name": "alice"}
    assert [each["type"] for each in found["entries"]] == ["scheduled", "delayed", "sent"]
    assert found["entries"][1]["data"] == {"reason": "Maximum sending rate exceeded."}
    assert found["sending"]["attempts"] == 2
    assert found["sending"]["provider_message_id"] == f"0100-{email_id}"
    assert found["sending"]["last_error"] is None
    assert found["next"] == {"at": None, "what": "The provider tells what became of it."}
    last = found["entries"][-1]["event"]
    assert (last["id"], last["type"], last["dispatched"]) == (event.public_id, "email.sent", False)
    assert last["deliveries"] == [
        {
            "webhook_id": str(delivery.endpoint_id),
            "status": "success",
            "attempts": 2,
            "last_status_code": 204,
            "last_error": None,
            "next_attempt_at": None,
        }
    ]
    assert found["has_more"] is False


@pytest.mark.parametrize(
    ("status", "is_due", "words"),
    [
        ("queued", True, "handed"),
        ("sending", True, "right now"),
        ("unknown", True, "Evidence"),
        ("unknown", False, "operator"),
        ("delivered", False, None),
        ("failed", False, None),
    ],
)
def test_what_happens_next_is_told(status, is_due, words, accepted, traced):
    email = accepted()
    at = timezone.now() if is_due else None
    Email.objects.update(status=status, next_attempt_at=at)

    following = traced(email.pk)["next"]

    assert (following is None) == (words is None)
    if following:
        assert words in following["what"]
        assert (following["at"] is not None) == is_due


def test_a_cancelled_mail_says_so(send, api, traced):
    email_id = send(scheduled_at="in 1 hour").json()["id"]
    api.post(f"/emails/{email_id}/cancel")

    found = traced(email_id)

    assert [each["type"] for each in found["entries"]] == ["scheduled", "cancelled"]
    assert found["entries"][1]["event"] is None
    assert found["next"] is None


def test_facts_are_in_the_order_in_which_they_happened(accepted, traced):
    email, now = accepted(), timezone.now()
    record_facts(
        [
            EmailFact(
                email_id=email.pk,
                type=kind,
                occurred_at=now + timedelta(seconds=after),
                is_published=False,
            )
            for kind, after in [("delivered", 3), ("sent", 1), ("delayed", 2)]
        ]
    )

    found = [each["type"] for each in traced(email.pk)["entries"]]
    assert found == ["sent", "delayed", "delivered"]


def test_a_deleted_webhook_is_not_shown(accepted, provider, workspace, traced):
    email = accepted()
    send_due()
    delivery = owed(workspace, Event.objects.get(type="email.sent"))
    Endpoint.objects.filter(pk=delivery.endpoint_id).update(
        deleted_at=timezone.now(), status="disabled"
    )

    assert traced(email.pk)["entries"][0]["event"]["deliveries"] == []


def test_a_trace_is_bounded_and_takes_few_statements(
    accepted, traced, django_assert_max_num_queries
):
    email = accepted()
    opened(email, 0)
    with django_assert_max_num_queries(30) as one:
        traced(email.pk)
    for number in range(1, MAX_FACTS + 1):
        opened(email, number)
    with django_assert_max_num_queries(len(one)):
        found = traced(email.pk)

    assert found["has_more"] is True
    assert [each["data"]["number"] for each in found["entries"]] == list(range(1, MAX_FACTS + 1))


def test_others_trace_nothing(accepted, stranger):
    assert stranger.get(f"/emails/{accepted().pk}/trace").status_code == 404


def opened(email, number):
    EmailEvent.objects.create(
        email=email,
        workspace_id=email.workspace_id,
        type="opened",
        fingerprint=str(number),
        payload={"number": number},
        occurred_at=timezone.now(),
    )
