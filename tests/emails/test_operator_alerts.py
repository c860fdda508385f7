"""Operators get ordinary emails about failing webhook endpoints."""

import logging
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
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
from tests.database import make_due, statement_count
from tests.factories import dispatch_all, endpoint_at, publish_committed, verified_domain
from webhooks.health import RequestResult, notify_or_disable
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.org/in"


@pytest.fixture
def operations(settings):
    """The operators' own workspace, with the From domain of the alerts."""
    settings.OPERATOR_EMAILS = ["ada@example.net", "Bob <bob@example.net>"]
    settings.OPERATOR_EMAIL_FROM = "OpenSend <notices@ops.example.com>"
    own = create_workspace(name="Operations")
    verified_domain(own, "ops.example.com", region="eu-central-1")
    return own


@pytest.fixture
def endpoint(workspace):
    return endpoint_at(URL, workspace)


def alert_warnings():
    """What `/readyz` warns of, but for the workers and the beat that this test has not."""
    warnings = Client().get("/readyz").json()["warnings"]
    return [warning for warning in warnings if "is running" not in warning]


def fail(endpoint, *, for_hours, status=500):
    """One more failed request of an endpoint that has been failing for this long."""
    since = timezone.now() - timedelta(hours=for_hours)
    Endpoint.objects.filter(pk=endpoint.pk).update(failing_since=since)
    with transaction.atomic():
        notify_or_disable([RequestResult(endpoint, timezone.now(), status, f"http_{status}", 12)])
    return since


def dispatch():
    make_due(Event)
    dispatch_all()


def send_all():
    make_due(Email)
    return send_due().claimed


def test_after_a_day_of_failures_all_operators_get_one_email(operations, endpoint, workspace):
    since = fail(endpoint, for_hours=25)
    dispatch()

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
    disabled_from = since + timedelta(days=5)
    for line in (
        f"since {since:%Y-%m-%dT%H:%M}",
        "Workspace: Alice's\n",
        f"Endpoint: {URL}\n",
        "Last error: http_500\n",
        f"at {disabled_from:%Y-%m-%dT%H:%M}",
        f"http://testserver/admin/webhooks/endpoint/{endpoint.pk}/change/",
    ):
        assert line in email.text


@pytest.mark.parametrize(
    ("hours", "status", "reason"),
    [(121, 500, "No success for 5 days"), (0, 410, "The endpoint answered 410 Gone")],
)
def test_the_alert_about_a_disabled_endpoint_says_how_to_enable_it(
    operations, endpoint, hours, status, reason
):
    since = fail(endpoint, for_hours=hours, status=status)
    dispatch()

    email = Email.objects.get()
    assert email.subject == f"Webhook endpoint disabled: {URL}"
    assert f"Reason: {reason}" in email.text
    assert f'PATCH /webhooks/{endpoint.pk} {{"status": "enabled"}}' in email.text
    recover = f"manage.py recover_webhook {endpoint.pk} --since {since:%Y-%m-%dT%H:%M}"
    assert recover in email.text


def test_the_link_opens_the_endpoint_in_the_admin(operations, endpoint, admin_client):
    fail(endpoint, for_hours=25)
    dispatch()
    link = Email.objects.get().text.split("In the admin: http://testserver")[1].strip()
    assert admin_client.get(link).status_code == 200


def test_an_alert_is_sent_and_reported_like_any_email(operations, endpoint, provider, published):
    fail(endpoint, for_hours=25)
    dispatch()
    assert send_all() == 1

    (sent,) = provider.sent
    assert (sent.sender, sent.to) == (
        "notices@ops.example.com",
        ["ada@example.net", "bob@example.net"],
    )
    assert f"Endpoint: {URL}".encode() in sent.mime
    assert Email.objects.get().status == "sent"
    dispatch()
    assert [kind for kind, _ in published()] == ["webhook.failing", "email.sent"]
    assert Email.objects.count() == 1  # the facts of an alert cause no further alert


def test_alerts_are_not_tracked(operations, endpoint):
    Domain.objects.update(open_tracking=True, click_tracking=True)
    fail(endpoint, for_hours=25)
    dispatch()

    email = Email.objects.get()
    assert (email.open_tracking, email.click_tracking) == (False, False)


def test_an_event_that_is_dispatched_twice_sends_one_alert(operations, endpoint, provider):
    fail(endpoint, for_hours=25)
    dispatch()
    assert send_all() == 1
    assert dispatch_again(list(Event.objects.filter(type="webhook.failing"))) == 1
    dispatch()

    assert not Event.objects.exclude(next_attempt_at=None).exists()
    assert (Email.objects.count(), EmailRecipient.objects.count()) == (1, 2)
    assert send_all() == 0


def test_without_operators_no_alert_is_sent(operations, endpoint, settings, caplog):
    settings.OPERATOR_EMAILS = []
    fail(endpoint, for_hours=25)
    dispatch()
    assert not Email.objects.exists()
    assert not Event.objects.exclude(next_attempt_at=None).exists()
    assert caplog.records == []
    assert alert_warnings() == []


def test_other_events_send_no_alert(operations, workspace):
    with transaction.atomic():
        publish([Fact("webhook.test", workspace.pk, CATALOGUE["webhook.test"].example_data())])
    dispatch()
    assert not Email.objects.exists()
    event = Event.objects.get()
    assert (event.next_attempt_at, event.last_error) == (None, "")


def test_a_suppressed_operator_is_dropped_and_reported(operations, endpoint, provider, published):
    Suppression.objects.create(workspace=operations, email="ada@example.net", origin="bounce")
    fail(endpoint, for_hours=25)
    dispatch()
    assert [data["recipient"] for _, data in published("email.suppressed")] == ["ada@example.net"]
    send_all()
    assert [sent.to for sent in provider.sent] == [["bob@example.net"]]


def test_a_suppression_of_the_customer_does_not_affect_operators(
    operations, endpoint, workspace, provider
):
    Suppression.objects.create(workspace=workspace, email="ada@example.net", origin="bounce")
    fail(endpoint, for_hours=25)
    dispatch()
    send_all()
    assert provider.sent[0].to == ["ada@example.net", "bob@example.net"]


def _unverified(settings):
    Domain.objects.update(status=Domain.Status.PENDING)


def _removed(settings):
    Domain.objects.update(deleted_at=timezone.now())


def _without_sender(settings):
    settings.OPERATOR_EMAIL_FROM = ""


def _invalid_address(settings):
    settings.OPERATOR_EMAILS = ["ada@example.net", "nobody"]


def _too_many_operators(settings):
    settings.OPERATOR_EMAILS = [f"operator{n}@example.net" for n in range(51)]


@pytest.mark.parametrize(
    ("break_settings", "expected"),
    [
        (_unverified, "`ops.example.com` is not verified"),
        (_removed, "`ops.example.com` is not one of yours"),
        (_without_sender, "OPERATOR_EMAIL_FROM"),
        (_invalid_address, "`nobody` is not an email address"),
        (_too_many_operators, "50 recipients"),
    ],
)
def test_broken_settings_are_logged_and_break_nothing_else(
    operations, endpoint, workspace, settings, break_settings, expected, caplog
):
    other = endpoint_at(URL, workspace, event_types=["webhook.*"])
    break_settings(settings)
    fail(endpoint, for_hours=25)
    with caplog.at_level(logging.ERROR, logger="emails.operator_alerts"):
        dispatch()

    (record,) = caplog.records
    assert expected in record.reason
    assert not Email.objects.exists()
    event = Event.objects.get()
    assert (event.next_attempt_at, event.last_error) == (None, "")
    delivery = Delivery.objects.get()  # the other subscribers still get the event
    assert (delivery.event_id, delivery.endpoint_id) == (event.pk, other.pk)
    (warning,) = alert_warnings()
    assert expected in warning


def test_a_failed_alert_is_sent_when_the_event_is_dispatched_again(operations, endpoint):
    _unverified(None)
    fail(endpoint, for_hours=25)
    dispatch()
    Domain.objects.update(status=Domain.Status.VERIFIED)
    dispatch_again(list(Event.objects.all()))
    dispatch()
    assert Email.objects.count() == 1


def test_working_settings_cause_no_warning(operations):
    assert alert_warnings() == []


def test_a_long_url_is_truncated_in_the_subject_only(operations, workspace):
    url = (URL + "/").ljust(2048, "x")
    endpoint = endpoint_at(url, workspace)
    fail(endpoint, for_hours=25)
    dispatch()
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
    publish_committed(facts)
    make_due(Event)
    return statement_count(dispatch_due)


def test_the_number_of_statements_is_constant(operations, workspace):
    few = _statements(workspace, bulk.COPY_ABOVE)
    assert _statements(workspace, 500) == few
    assert Email.objects.count() == 500 + bulk.COPY_ABOVE
    assert EmailRecipient.objects.count() == 2 * (500 + bulk.COPY_ABOVE)
