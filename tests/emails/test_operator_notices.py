"""Operators are mailed about endpoints that fail, by the way that all mail takes."""

import logging
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.services import create_workspace
from contacts.models import Suppression
from core.db import bulk
from domains.models import Domain
from emails.models import Email, EmailRecipient
from emails.sending.loop import send_due
from events.catalogue import CATALOGUE
from events.dispatch import dispatch_due
from events.models import Event
from events.services import Fact, dispatch_again, publish
from webhooks.health import RequestResult, notify_or_disable
from webhooks.models import Delivery, Endpoint
from webhooks.services import create_endpoint

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.org/in"


@pytest.fixture
def operations(settings):
    """The operators' own workspace, whose domain the notices leave from."""
    settings.OPERATOR_EMAILS = ["ada@example.net", "Bob <bob@example.net>"]
    settings.OPERATOR_EMAIL_FROM = "OpenSend <notices@ops.example.com>"
    own = create_workspace(name="Operations")
    Domain.objects.create(
        workspace=own,
        name="ops.example.com",
        status=Domain.Status.VERIFIED,
        region="eu-central-1",
        ses_configuration_set_name="opensend",
        next_attempt_at=None,
    )
    return own


@pytest.fixture
def endpoint(workspace):
    return create_endpoint(workspace=workspace, url=URL, event_types=["*"])[0]


def fail(endpoint, *, for_hours, status=500):
    """One more failed request of an endpoint that has been failing for so long."""
    since = timezone.now() - timedelta(hours=for_hours)
    Endpoint.objects.filter(pk=endpoint.pk).update(failing_since=since)
    with transaction.atomic():
        notify_or_disable([RequestResult(endpoint, timezone.now(), status, f"http_{status}", 12)])
    return since


def make_due(rows):
    """A test is one transaction, in which now() stands still."""
    rows.exclude(next_attempt_at=None).update(next_attempt_at=timezone.now() - timedelta(minutes=1))


def hear():
    make_due(Event.objects)
    while dispatch_due():
        pass


def let_send():
    make_due(Email.objects)
    return send_due()


def test_after_a_day_all_operators_get_one_mail_that_says_what_happens(
    operations, endpoint, workspace
):
    since = fail(endpoint, for_hours=25)
    hear()

    email = Email.objects.get()
    assert email.subject == f"Webhook endpoint failing: {URL}"
    assert email.sender == "OpenSend <notices@ops.example.com>"
    assert email.to == ["ada@example.net", "Bob <bob@example.net>"]
    assert (email.workspace, email.api_key) == (operations, None)
    assert (email.region, email.configuration_set) == ("eu-central-1", "opensend")
    assert set(email.recipients.values_list("kind", "address")) == {
        ("to", "ada@example.net"),
        ("to", "bob@example.net"),
    }
    off_at = since + timedelta(days=5)
    for fact in (
        f"since {since:%Y-%m-%dT%H:%M}",
        "Workspace: Alice's\n",
        f"Endpoint: {URL}\n",
        "Last error: http_500\n",
        f"at {off_at:%Y-%m-%dT%H:%M}",
        f"http://testserver/admin/webhooks/endpoint/{endpoint.pk}/change/",
    ):
        assert fact in email.text


@pytest.mark.parametrize(
    ("hours", "status", "reason"),
    [(121, 500, "No success for 5 days"), (0, 410, "The endpoint answered 410 Gone")],
)
def test_of_an_endpoint_that_was_switched_off_they_read_how_it_comes_back(
    operations, endpoint, hours, status, reason
):
    since = fail(endpoint, for_hours=hours, status=status)
    hear()

    email = Email.objects.get()
    assert email.subject == f"Webhook endpoint disabled: {URL}"
    assert f"Reason: {reason}" in email.text
    assert f'PATCH /webhooks/{endpoint.pk} {{"status": "enabled"}}' in email.text
    recover = f"manage.py recover_webhook {endpoint.pk} --since {since:%Y-%m-%dT%H:%M}"
    assert recover in email.text


def test_the_link_opens_the_endpoint_in_the_admin(operations, endpoint, admin_client):
    fail(endpoint, for_hours=25)
    hear()
    link = Email.objects.get().text.split("In the admin: http://testserver")[1].strip()
    assert admin_client.get(link).status_code == 200


def test_the_mail_is_sent_and_followed_like_any_other(operations, endpoint, provider, published):
    fail(endpoint, for_hours=25)
    hear()
    assert let_send() == 1

    (sent,) = provider.sent
    assert (sent.sender, sent.to) == (
        "notices@ops.example.com",
        ["ada@example.net", "bob@example.net"],
    )
    assert f"Endpoint: {URL}".encode() in sent.mime
    assert Email.objects.get().status == "sent"
    hear()
    assert [kind for kind, _ in published()] == ["webhook.failing", "email.sent"]
    assert Email.objects.count() == 1  # what becomes of a notice is no cause of another


def test_nobody_follows_what_operators_open(operations, endpoint):
    Domain.objects.update(open_tracking=True, click_tracking=True)
    fail(endpoint, for_hours=25)
    hear()

    email = Email.objects.get()
    assert (email.open_tracking, email.click_tracking) == (False, False)


def test_an_event_that_is_heard_twice_is_mailed_once(operations, endpoint, provider):
    fail(endpoint, for_hours=25)
    hear()
    assert let_send() == 1
    assert dispatch_again(list(Event.objects.filter(type="webhook.failing"))) == 1
    hear()

    assert not Event.objects.exclude(next_attempt_at=None).exists()
    assert (Email.objects.count(), EmailRecipient.objects.count()) == (1, 2)
    assert let_send() == 0


def test_without_operators_nobody_is_mailed(operations, endpoint, settings, caplog):
    settings.OPERATOR_EMAILS = []
    fail(endpoint, for_hours=25)
    hear()
    assert not Email.objects.exists()
    assert not Event.objects.exclude(next_attempt_at=None).exists()
    assert caplog.records == []
    assert Client().get("/readyz").json()["warnings"] == []


def test_other_events_are_not_mailed(operations, workspace):
    with transaction.atomic():
        publish([Fact("webhook.test", workspace.pk, CATALOGUE["webhook.test"].example_data())])
    hear()
    assert not Email.objects.exists()
    event = Event.objects.get()
    assert (event.next_attempt_at, event.last_error) == (None, "")


def test_a_suppressed_operator_is_left_out_and_that_is_told(
    operations, endpoint, provider, published
):
    Suppression.objects.create(workspace=operations, email="ada@example.net", origin="bounce")
    fail(endpoint, for_hours=25)
    hear()
    assert [data["recipient"] for _, data in published("email.suppressed")] == ["ada@example.net"]
    let_send()
    assert [sent.to for sent in provider.sent] == [["bob@example.net"]]


def test_an_address_that_the_customer_suppressed_is_an_operators_all_the_same(
    operations, endpoint, workspace, provider
):
    Suppression.objects.create(workspace=workspace, email="ada@example.net", origin="bounce")
    fail(endpoint, for_hours=25)
    hear()
    let_send()
    assert provider.sent[0].to == ["ada@example.net", "bob@example.net"]


def _unverified(settings):
    Domain.objects.update(status=Domain.Status.PENDING)


def _removed(settings):
    Domain.objects.update(deleted_at=timezone.now())


def _unnamed(settings):
    settings.OPERATOR_EMAIL_FROM = ""


def _unreadable(settings):
    settings.OPERATOR_EMAILS = ["ada@example.net", "nobody"]


def _too_many(settings):
    settings.OPERATOR_EMAILS = [f"operator{n}@example.net" for n in range(51)]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_unverified, "`ops.example.com` is not verified"),
        (_removed, "`ops.example.com` is not one of yours"),
        (_unnamed, "OPERATOR_EMAIL_FROM"),
        (_unreadable, "`nobody` is not an email address"),
        (_too_many, "50 recipients"),
    ],
)
def test_settings_that_cannot_work_are_told_and_break_nothing(
    operations, endpoint, workspace, settings, spoil, named, caplog
):
    other, _ = create_endpoint(workspace=workspace, url=URL, event_types=["webhook.*"])
    spoil(settings)
    fail(endpoint, for_hours=25)
    with caplog.at_level(logging.ERROR, logger="emails.operator_alerts"):
        hear()

    (record,) = caplog.records
    assert named in record.reason
    assert not Email.objects.exists()
    event = Event.objects.get()
    assert (event.next_attempt_at, event.last_error) == (None, "")
    delivery = Delivery.objects.get()  # others are told nonetheless
    assert (delivery.event_id, delivery.endpoint_id) == (event.pk, other.pk)
    (warning,) = Client().get("/readyz").json()["warnings"]
    assert named in warning


def test_what_could_not_be_mailed_is_once_the_event_is_dispatched_again(operations, endpoint):
    _unverified(None)
    fail(endpoint, for_hours=25)
    hear()
    Domain.objects.update(status=Domain.Status.VERIFIED)
    dispatch_again(list(Event.objects.all()))
    hear()
    assert Email.objects.count() == 1


def test_an_installation_that_can_mail_its_operators_does_not_warn(operations):
    assert Client().get("/readyz").json()["warnings"] == []


def test_a_long_url_is_cut_in_the_subject_only(operations, workspace):
    url = (URL + "/").ljust(2048, "x")
    endpoint, _ = create_endpoint(workspace=workspace, url=url, event_types=["*"])
    fail(endpoint, for_hours=25)
    hear()
    email = Email.objects.get()
    assert len(email.subject) == 200
    assert url in email.text


def _statements(workspace, count):
    facts = [
        Fact(
            "webhook.failing",
            workspace.pk,
            {
                "webhook_id": f"018f0000-0000-7000-8000-{n:012}",
                "endpoint": f"{URL}/{n}",
                "failing_since": "2026-05-10T00:00:00.000Z",
                "failures_in_a_row": 30,
                "last_error": "http_500",
                "last_status_code": 500,
                "disabled_from": "2026-05-15T00:00:00.000Z",
            },
        )
        for n in range(count)
    ]
    with transaction.atomic():
        publish(facts)
    make_due(Event.objects)
    with CaptureQueriesContext(connection) as captured:
        dispatch_due()
    return len(captured)


def test_a_burst_takes_no_more_statements_than_a_few(operations, workspace):
    few = _statements(workspace, bulk.FEW)
    assert _statements(workspace, 500) == few
    assert Email.objects.count() == 500 + bulk.FEW
    assert EmailRecipient.objects.count() == 2 * (500 + bulk.FEW)
