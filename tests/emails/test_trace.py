"""`GET /emails/{id}/trace`: the history of an email, from the request to the webhooks."""

from datetime import timedelta

import pytest
from django.utils import timezone

from emails.api.trace import MAX_FACTS
from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailEvent
from emails.providers import NotTaken
from emails.sending.loop import send_due
from events.models import Event
from tests.database import make_due
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def traced(api):
    def get(email_id):
        answer = api.get(f"/emails/{email_id}/trace")
        assert answer.status_code == 200, answer.json()
        return answer.json()

    return get


def create_delivery(workspace, event, **changes):
    endpoint = Endpoint.objects.create(
        workspace=workspace, url="https://example.com/hook", event_types=["*"]
    )
    values = {"status": "success", "next_attempt_at": None} | changes
    return Delivery.objects.create(endpoint=endpoint, event=event, **values)


def test_a_trace_covers_the_request_the_send_and_the_webhooks(
    api, domain, message, traced, provider, workspace, api_key
):
    provider.script = [NotTaken("Maximum sending rate exceeded.")]
    email_id = api.post(
        "/emails",
        message | {"scheduled_at": "in 1 hour"},
        headers={"x-request-id": "trace-me-1"},
    ).json()["id"]
    for _ in range(2):
        make_due(Email)
        send_due()
    event = Event.objects.get(type="email.sent")
    delivery = create_delivery(workspace, event, attempts=2, last_status_code=204)

    body = traced(email_id)

    assert (body["object"], body["id"], body["status"]) == ("email_trace", email_id, "sent")
    assert body["accepted"]["request_id"] == "trace-me-1"
    assert body["accepted"]["api_key"] == {"id": str(api_key[0].pk), "name": "alice"}
    assert [each["type"] for each in body["entries"]] == ["scheduled", "delayed", "sent"]
    assert body["entries"][1]["data"] == {"reason": "Maximum sending rate exceeded."}
    assert body["sending"]["attempts"] == 2
    assert body["sending"]["provider_message_id"] == f"0100-{email_id}"
    assert body["sending"]["last_error"] is None
    assert body["next"] == {
        "at": None,
        "what": "Waiting for the provider to report the delivery or a bounce.",
    }
    last = body["entries"][-1]["event"]
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
    assert body["has_more"] is False


@pytest.mark.parametrize(
    ("status", "is_due", "expected"),
    [
        ("queued", True, "sent to the provider"),
        ("sending", True, "in flight"),
        ("unknown", True, "evidence"),
        ("unknown", False, "operator"),
        ("delivered", False, None),
        ("failed", False, None),
    ],
)
def test_the_trace_says_what_happens_next(status, is_due, expected, accepted, traced):
    email = accepted()
    at = timezone.now() if is_due else None
    Email.objects.update(status=status, next_attempt_at=at)

    next_step = traced(email.pk)["next"]

    assert (next_step is None) == (expected is None)
    if next_step:
        assert expected in next_step["what"]
        assert (next_step["at"] is not None) == is_due


def test_the_trace_of_a_cancelled_email(send, api, traced):
    email_id = send(scheduled_at="in 1 hour").json()["id"]
    api.post(f"/emails/{email_id}/cancel")

    body = traced(email_id)

    assert [each["type"] for each in body["entries"]] == ["scheduled", "cancelled"]
    assert body["entries"][1]["event"] is None
    assert body["next"] is None


def test_entries_are_in_the_order_in_which_they_happened(accepted, traced):
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

    types = [each["type"] for each in traced(email.pk)["entries"]]
    assert types == ["sent", "delayed", "delivered"]


def test_deliveries_of_a_deleted_webhook_are_omitted(accepted, provider, workspace, traced):
    email = accepted()
    send_due()
    delivery = create_delivery(workspace, Event.objects.get(type="email.sent"))
    Endpoint.objects.filter(pk=delivery.endpoint_id).update(
        deleted_at=timezone.now(), status="disabled"
    )

    assert traced(email.pk)["entries"][0]["event"]["deliveries"] == []


def test_a_trace_is_bounded_and_takes_few_queries(accepted, traced, django_assert_max_num_queries):
    email = accepted()
    add_open(email, 0)
    with django_assert_max_num_queries(30) as one:
        traced(email.pk)
    for number in range(1, MAX_FACTS + 1):
        add_open(email, number)
    with django_assert_max_num_queries(len(one)):
        body = traced(email.pk)

    assert body["has_more"] is True
    assert [each["data"]["number"] for each in body["entries"]] == list(range(1, MAX_FACTS + 1))


def test_another_workspace_gets_404(accepted, stranger):
    assert stranger.get(f"/emails/{accepted().pk}/trace").status_code == 404


def add_open(email, number):
    EmailEvent.objects.create(
        email=email,
        workspace_id=email.workspace_id,
        type="opened",
        fingerprint=str(number),
        payload={"number": number},
        occurred_at=timezone.now(),
    )
