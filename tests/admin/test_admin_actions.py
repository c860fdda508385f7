"""Admin actions call services and report how many rows they changed."""

import re

import pytest
from django.urls import reverse

from accounts.models import ApiKey, Workspace
from accounts.services import create_api_key
from contacts.models import Suppression
from domains.models import Domain
from emails.models import Email, EmailRecipient
from events.models import Event
from ingest.models import ProviderEvent
from tests.clients import run_admin_action
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db


def run_action(client, action, *records, **more):
    """The messages that the page shows after this action on these records."""
    return run_admin_action(client, action, *records, **more)[1]


def url(model, name="changelist", *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def test_queued_and_held_mail_is_sent_now(operator, make_email):
    held, done = make_email(status="unknown"), make_email()
    assert run_action(operator, "retry_now", held, done) == ["1 email will be sent now."]
    held.refresh_from_db()
    assert (held.status, held.next_attempt_at is None) == (Email.Status.QUEUED, False)


@pytest.mark.parametrize(
    ("action", "said", "status", "kind"),
    [
        ("mark_as_sent", "marked as sent", "sent", "email.sent"),
        ("mark_as_failed", "marked as failed", "failed", "email.failed"),
    ],
)
def test_an_operator_resolves_unknown_sends(action, said, status, kind, operator, make_email):
    held, waiting = make_email(status="unknown"), make_email(status="unknown")
    Email.objects.filter(pk=waiting.pk).update(next_attempt_at="2126-01-01T00:00Z")
    done = make_email(status="delivered")
    for email in (held, waiting, done):
        EmailRecipient.objects.create(email=email, kind="to", address="bob@example.org")

    (message,) = run_action(operator, action, held, waiting, done)

    assert message == f"2 emails {said.replace('is', 'are', 1)}."
    for email in (held, waiting):
        email.refresh_from_db()
        assert (email.status, email.next_attempt_at) == (status, None)
    assert Event.objects.filter(type=kind).count() == 2
    assert run_action(operator, action, held) == [f"0 emails {said.replace('is', 'are', 1)}."]


def test_callbacks_are_reprocessed(operator, fill):
    fill(2)
    ProviderEvent.objects.update(state="quarantined", next_attempt_at=None)
    rows = ProviderEvent.objects.all()
    said = run_action(operator, "reprocess", *rows)
    assert said == ["2 provider events will be reprocessed."]
    assert {row.state for row in ProviderEvent.objects.all()} == {"received"}


def test_all_rows_of_a_filter_are_reprocessed(operator, fill):
    fill(3)
    ProviderEvent.objects.update(state="quarantined", next_attempt_at=None)
    form = {"action": "reprocess", "index": "0", "select_across": "1"}
    form["_selected_action"] = [ProviderEvent.objects.first().pk]
    operator.post(url(ProviderEvent) + "?odd=quarantined", form)
    assert not ProviderEvent.objects.filter(state="quarantined").exists()


def test_deliveries_are_attempted_now(operator, fill):
    fill(1)
    done = Delivery.objects.get()
    assert run_action(operator, "deliver_now", done) == ["1 delivery will be attempted now."]
    Delivery.objects.update(status="success", next_attempt_at=None)
    assert run_action(operator, "deliver_now", done) == ["0 deliveries will be attempted now."]


def test_dead_letter_events_are_dispatched_again(operator, fill):
    fill(2)
    dead_letter, _ = events = list(Event.objects.all())
    Event.objects.filter(pk=dead_letter.pk).update(next_attempt_at=None, last_error="died")
    assert run_action(operator, "dispatch_again", *events) == ["1 event will be dispatched again."]
    dead_letter.refresh_from_db()
    assert dead_letter.next_attempt_at is not None
    assert dead_letter.last_error == ""


def test_domains_are_checked_now(operator, domain):
    assert domain.next_attempt_at is None
    assert run_action(operator, "check_now", domain) == ["1 domain will be checked now."]
    assert Domain.objects.due().get() == domain


def test_removing_a_suppression_is_published(operator, fill):
    fill(1)
    said = run_action(operator, "unsuppress", Suppression.objects.get())
    assert said == ["1 suppression removed."]
    assert not Suppression.objects.exists()
    assert Event.objects.filter(type="suppression.removed").count() == 1


def test_an_operator_suppresses_an_address(operator, workspace):
    form = {"workspace": str(workspace.pk), "email": "Bob@Example.org"}
    assert operator.post(url(Suppression, "add"), form).status_code == 302
    suppression = Suppression.objects.get()
    assert (suppression.email, suppression.origin) == ("bob@example.org", "manual")
    assert Event.objects.filter(type="suppression.added").count() == 1
    again = operator.post(url(Suppression, "add"), form)
    assert "already exists" in str(again.context["adminform"].form.errors)


@pytest.mark.parametrize("email", ["nobody", "bounce@simulator.amazonses.com"])
def test_an_invalid_suppression_is_rejected_with_a_reason(operator, workspace, email):
    shown = operator.post(url(Suppression, "add"), {"workspace": str(workspace.pk), "email": email})
    assert shown.status_code == 200
    assert shown.context["adminform"].form.errors["email"]


def test_keys_are_revoked(operator, api, workspace):
    key = ApiKey.objects.get()
    assert run_action(operator, "revoke", key) == ["1 api key revoked."]
    assert run_action(operator, "revoke", key) == ["0 api keys revoked."]
    assert api.get("/emails").status_code == 403


def test_a_new_key_is_shown_once_and_works(operator, workspace, client_for):
    form = {"workspace": str(workspace.pk), "name": "shop", "permission": "full_access"}
    shown = operator.post(url(ApiKey, "add"), form)
    token = re.search(r"os_[\w-]{32}", shown.content.decode()).group()
    assert "no-store" in shown["Cache-Control"]
    assert client_for(token).get("/emails").status_code == 200
    assert ApiKey.objects.count() == 1
    assert not any(token in cookie.value for cookie in operator.cookies.values())
    for address in (url(ApiKey), url(ApiKey, "change", ApiKey.objects.get().pk)):
        assert token not in operator.get(address).content.decode()


def test_a_workspace_is_created_and_its_limits_changed(operator):
    operator.post(url(Workspace, "add"), {"name": "Carol's"})
    created = Workspace.objects.get(name="Carol's")
    changed = {"name": "Carol & Co", "rate_limit": "5", "rate_burst": ""}
    assert operator.post(url(Workspace, "change", created.pk), changed).status_code == 302
    created.refresh_from_db()
    assert (created.name, created.rate_limit, created.rate_burst) == ("Carol & Co", 5, None)


def test_an_endpoint_is_disabled_and_enabled(operator, fill):
    fill(1)
    endpoint = Endpoint.objects.get()
    assert run_action(operator, "disable", endpoint) == ["1 endpoint disabled."]
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.disabled_at is None) == ("disabled", False)
    assert run_action(operator, "disable", endpoint) == ["0 endpoints disabled."]
    assert run_action(operator, "enable", endpoint)[0] == "1 endpoint enabled."
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.encrypted_keyring[:5]) == ("enabled", "gAAAA")


def test_an_action_on_a_record_page_redirects_back_to_it(operator, make_email):
    email = make_email(status="unknown")
    form = {"action": "retry_now", "index": "0", "_selected_action": email.pk, "record": email.pk}
    response = operator.post(url(Email), form)
    assert response["Location"] == url(Email, "change", email.pk)
    page = operator.get(response["Location"]).content.decode()
    assert 'name="action" value="retry_now"' in page


def test_view_only_staff_get_no_actions(clerk, make_email):
    from django.contrib.auth.models import Permission, User

    User.objects.get(username="clerk").user_permissions.add(
        Permission.objects.get(codename="view_email")
    )
    held = make_email(status="unknown")
    page = clerk.get(url(Email, "change", held.pk))
    assert page.status_code == 200
    assert 'value="retry_now"' not in page.content.decode()
    clerk.post(url(Email), {"action": "retry_now", "index": "0", "_selected_action": held.pk})
    held.refresh_from_db()
    assert held.status == "unknown"


def test_a_key_without_a_workspace_is_not_created(operator, workspace):
    create_api_key(workspace=workspace, name="before")
    shown = operator.post(url(ApiKey, "add"), {"name": "x", "permission": "full_access"})
    assert shown.status_code == 200
    assert ApiKey.objects.count() == 1
