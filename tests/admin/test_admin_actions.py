"""Buttons call services and say how many."""

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
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db


def url(model, name="changelist", *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def press(client, action, *records, **more):
    """The messages that the page shows after an action on these records."""
    form = {"action": action, "index": "0", "_selected_action": [each.pk for each in records]}
    shown = client.post(url(type(records[0])), form | more, follow=True)
    return [str(message) for message in shown.context["messages"]]


def test_waiting_and_held_mail_is_sent_again(operator, make_email):
    held, done = make_email(status="unknown"), make_email()
    assert press(operator, "retry_now", held, done) == ["1 email will be sent now."]
    held.refresh_from_db()
    assert (held.status, held.next_attempt_at is None) == (Email.Status.QUEUED, False)


@pytest.mark.parametrize(
    ("action", "said", "status", "kind"),
    [
        ("mark_as_sent", "marked as sent", "sent", "email.sent"),
        ("mark_as_failed", "marked as failed", "failed", "email.failed"),
    ],
)
def test_an_operator_settles_what_is_in_doubt(action, said, status, kind, operator, make_email):
    held, waiting = make_email(status="unknown"), make_email(status="unknown")
    Email.objects.filter(pk=waiting.pk).update(next_attempt_at="2126-01-01T00:00Z")
    done = make_email(status="delivered")
    for email in (held, waiting, done):
        EmailRecipient.objects.create(email=email, kind="to", address="bob@example.org")

    (told,) = press(operator, action, held, waiting, done)

    assert told == f"2 emails {said.replace('is', 'are', 1)}."
    for email in (held, waiting):
        email.refresh_from_db()
        assert (email.status, email.next_attempt_at) == (status, None)
    assert Event.objects.filter(type=kind).count() == 2
    assert press(operator, action, held) == [f"0 emails {said.replace('is', 'are', 1)}."]


def test_callbacks_are_processed_again(operator, fill):
    fill(2)
    ProviderEvent.objects.update(state="quarantined", next_attempt_at=None)
    rows = ProviderEvent.objects.all()
    said = press(operator, "reprocess", *rows)
    assert said == ["2 provider events will be reprocessed."]
    assert {row.state for row in ProviderEvent.objects.all()} == {"received"}


def test_all_that_a_filter_shows_can_be_processed_again(operator, fill):
    fill(3)
    ProviderEvent.objects.update(state="quarantined", next_attempt_at=None)
    form = {"action": "reprocess", "index": "0", "select_across": "1"}
    form["_selected_action"] = [ProviderEvent.objects.first().pk]
    operator.post(url(ProviderEvent) + "?odd=quarantined", form)
    assert not ProviderEvent.objects.filter(state="quarantined").exists()


def test_deliveries_are_hurried(operator, fill):
    fill(1)
    done = Delivery.objects.get()
    assert press(operator, "deliver_now", done) == ["1 delivery will be attempted now."]
    Delivery.objects.update(status="success", next_attempt_at=None)
    assert press(operator, "deliver_now", done) == ["0 deliveries will be attempted now."]


def test_shelved_events_are_dispatched_again(operator, fill):
    fill(2)
    shelved, _ = events = list(Event.objects.all())
    Event.objects.filter(pk=shelved.pk).update(next_attempt_at=None, last_error="died")
    assert press(operator, "dispatch_again", *events) == ["1 event will be dispatched again."]
    shelved.refresh_from_db()
    assert shelved.next_attempt_at is not None
    assert shelved.last_error == ""


def test_domains_are_checked_before_their_time(operator, domain):
    assert domain.next_attempt_at is None
    assert press(operator, "check_now", domain) == ["1 domain will be checked now."]
    assert Domain.objects.due().get() == domain


def test_an_address_is_let_go_and_that_is_published(operator, fill):
    fill(1)
    said = press(operator, "unsuppress", Suppression.objects.get())
    assert said == ["1 suppression removed."]
    assert not Suppression.objects.exists()
    assert Event.objects.filter(type="suppression.removed").count() == 1


def test_an_address_is_suppressed_by_hand(operator, workspace):
    form = {"workspace": str(workspace.pk), "email": "Bob@Example.org"}
    assert operator.post(url(Suppression, "add"), form).status_code == 302
    kept = Suppression.objects.get()
    assert (kept.email, kept.origin) == ("bob@example.org", "manual")
    assert Event.objects.filter(type="suppression.added").count() == 1
    again = operator.post(url(Suppression, "add"), form)
    assert "already exists" in str(again.context["adminform"].form.errors)


@pytest.mark.parametrize("email", ["nobody", "bounce@simulator.amazonses.com"])
def test_what_cannot_be_suppressed_is_refused_with_a_reason(operator, workspace, email):
    shown = operator.post(url(Suppression, "add"), {"workspace": str(workspace.pk), "email": email})
    assert shown.status_code == 200
    assert shown.context["adminform"].form.errors["email"]


def test_keys_are_revoked(operator, api, workspace):
    key = ApiKey.objects.get()
    assert press(operator, "revoke", key) == ["1 api key revoked."]
    assert press(operator, "revoke", key) == ["0 api keys revoked."]
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


def test_a_workspace_is_made_and_its_limits_changed(operator):
    operator.post(url(Workspace, "add"), {"name": "Carol's"})
    made = Workspace.objects.get(name="Carol's")
    changed = {"name": "Carol & Co", "rate_limit": "5", "rate_burst": ""}
    assert operator.post(url(Workspace, "change", made.pk), changed).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.rate_limit, made.rate_burst) == ("Carol & Co", 5, None)


def test_an_endpoint_is_disabled_and_enabled(operator, fill):
    fill(1)
    endpoint = Endpoint.objects.get()
    assert press(operator, "disable", endpoint) == ["1 endpoint disabled."]
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.disabled_at is None) == ("disabled", False)
    assert press(operator, "disable", endpoint) == ["0 endpoints disabled."]
    assert press(operator, "enable", endpoint)[0] == "1 endpoint enabled."
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.encrypted_keyring[:5]) == ("enabled", "gAAAA")


def test_the_button_of_a_record_leads_back_to_it(operator, make_email):
    email = make_email(status="unknown")
    form = {"action": "retry_now", "index": "0", "_selected_action": email.pk, "record": email.pk}
    response = operator.post(url(Email), form)
    assert response["Location"] == url(Email, "change", email.pk)
    page = operator.get(response["Location"]).content.decode()
    assert 'name="action" value="retry_now"' in page


def test_who_may_only_look_gets_no_buttons(clerk, make_email):
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


def test_a_key_without_its_workspaces_name_is_not_made(operator, workspace):
    create_api_key(workspace=workspace, name="before")
    shown = operator.post(url(ApiKey, "add"), {"name": "x", "permission": "full_access"})
    assert shown.status_code == 200
    assert ApiKey.objects.count() == 1
