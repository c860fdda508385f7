"""One-click unsubscribe: the headers and links, the page, and its effects."""

import re
from email import message_from_bytes
from email.policy import default
from uuid import UUID

import pytest
from django.test import Client, override_settings

from contacts.models import Contact, Suppression
from contacts.suppressions import unsuppress
from core.db.ids import uuid7
from emails.models import Email, EmailEvent
from emails.sending.loop import send_due
from tests.database import missing_database
from tracking.tokens import Unsubscribe, read_unsubscribe, sign_unsubscribe

pytestmark = pytest.mark.django_db

HEADERS = {"X-OpenSend-Unsubscribe": "true"}
PLACEHOLDER = "{{{OPENSEND_UNSUBSCRIBE_URL}}}"
PUBLISHED = ("contact.created", "contact.updated", "suppression.added", "email.unsubscribed")


@pytest.fixture
def recipient():
    """The HTTP client of a recipient, with CSRF checks."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def sent(accepted, provider):
    """`sent(...)`: the email, and the parsed message that went to the provider."""

    def send(**changes):
        email = accepted(**changes)
        send_due()
        (call,) = [call for call in provider.sent if call.email_id == str(email.pk)]
        return email, message_from_bytes(call.mime, policy=default)

    return send


@pytest.fixture
def path(workspace, accepted):
    """The path where bob@example.net unsubscribes from an email of Alice's workspace."""
    email = accepted(headers=HEADERS)
    return "/t/u/" + sign_unsubscribe(Unsubscribe(workspace.pk, email.pk, "bob@example.net"))


def body_of(message, kind):
    return message.get_body((kind,)).get_content()


# --- Headers and links --------------------------------------------------------------------------


def test_the_header_adds_one_click_unsubscribe(sent, workspace):
    email, message = sent(to="Bob <Bob@Example.net>", headers={**HEADERS, "X-Own": "1"})
    url = re.fullmatch(r"<(http://testserver/t/u/([\w-]+))>", message["List-Unsubscribe"])
    assert read_unsubscribe(url[2]) == Unsubscribe(workspace.pk, email.pk, "Bob@example.net")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["X-Own"] == "1"
    assert "X-OpenSend-Unsubscribe" not in message
    assert email.unsubscribe


def test_the_placeholder_becomes_the_same_url_everywhere(sent):
    link = f'<a href="{PLACEHOLDER}">Leave</a>'
    _, message = sent(html=link, text=f"Leave: {PLACEHOLDER}")
    url = message["List-Unsubscribe"].strip("<>")
    assert f'href="{url}"' in body_of(message, "html")
    assert body_of(message, "plain").split() == ["Leave:", url]
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_the_unsubscribe_link_is_not_tracked(sent, domain):
    type(domain).objects.update(click_tracking=True)
    html = f'<a href="{PLACEHOLDER}">Leave</a> <a href="https://a.test/">A</a>'
    _, message = sent(html=html, text=None)
    url = message["List-Unsubscribe"].strip("<>")
    assert f'href="{url}"' in body_of(message, "html")
    assert "https://a.test/" not in body_of(message, "html")
    assert url in body_of(message, "plain")
    assert "(https://a.test/)" in body_of(message, "plain")


def test_other_email_has_no_list_unsubscribe(sent):
    email, message = sent()
    assert "List-Unsubscribe" not in message
    assert not email.unsubscribe


def test_senders_may_have_their_own_list_unsubscribe(sent, domain):
    type(domain).objects.update(click_tracking=True)
    own = "<mailto:a@b.test>, <https://own.test/leave>"
    html = '<a href="https://own.test/leave">Leave</a>'
    _, message = sent(html=html, headers={"List-Unsubscribe": own})
    assert message["List-Unsubscribe"] == own
    assert body_of(message, "html").strip() == html


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"to": ["a@b.test", "c@d.test"], "headers": HEADERS}, "to", "one recipient"),
        ({"cc": "c@d.test", "headers": HEADERS}, "to", "one recipient"),
        ({"bcc": "c@d.test", "html": PLACEHOLDER}, "to", "one recipient"),
        ({"bcc": "c@d.test", "text": PLACEHOLDER}, "to", "one recipient"),
        (
            {"headers": {"x-opensend-unsubscribe": "maybe"}},
            "headers.x-opensend-unsubscribe",
            "only be `true`",
        ),
        (
            {"headers": {"X-OpenSend-Other": "true"}},
            "headers.X-OpenSend-Other",
            "set by the platform",
        ),
        (
            {"headers": {**HEADERS, "List-Unsubscribe": "<mailto:a@b.test>"}},
            "headers.List-Unsubscribe",
            "as well",
        ),
        (
            {"headers": {"list-unsubscribe-post": "x"}, "text": PLACEHOLDER},
            "headers.list-unsubscribe-post",
            "as well",
        ),
    ],
)
def test_invalid_uses_are_rejected_with_the_reason(send, changes, field, problem):
    answer = send(**changes)
    assert answer.status_code == 422
    ((path, message),) = answer.json()["details"]["fields"].items()
    assert (path, problem in message) == (field, True)
    assert not Email.objects.exists()


# --- The unsubscribe page -----------------------------------------------------------------------


def test_one_click_suppresses_and_unsubscribes(recipient, path, workspace, published):
    answer = recipient.post(
        path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
    )
    assert (answer.status_code, dict(answer.cookies)) == (200, {})
    assert "You are unsubscribed" in answer.content.decode()
    suppression = Suppression.objects.get(workspace=workspace)
    assert (suppression.email, suppression.origin) == ("bob@example.net", "unsubscribed")
    assert suppression.email_id == Email.objects.get().pk
    assert Contact.objects.get(workspace=workspace).unsubscribed
    assert [name for name, _ in published(*PUBLISHED)] == ["suppression.added", "contact.created"]


def test_an_existing_contact_is_updated(recipient, path, workspace, published):
    Contact.objects.create(workspace=workspace, email="Bob@example.net", first_name="Bob")
    recipient.post(path)
    assert Contact.objects.get().unsubscribed
    ((_, data),) = published("contact.updated")
    assert (data["first_name"], data["changed_fields"]) == ("Bob", ["unsubscribed"])


def test_a_second_click_changes_nothing(recipient, path, published):
    for _ in range(3):
        assert recipient.post(path).status_code == 200
    assert len(published(*PUBLISHED)) == 2
    assert EmailEvent.objects.filter(type="unsubscribed").count() == 1


def test_a_resubscribed_contact_can_unsubscribe_again(recipient, path):
    recipient.post(path)
    unsuppress(Suppression.objects.all())
    assert not Contact.objects.get().unsubscribed
    recipient.post(path)
    assert Suppression.objects.get().origin == "unsubscribed"
    assert Contact.objects.get().unsubscribed


def test_no_more_email_is_sent(recipient, path, send):
    recipient.post(path)
    answer = send()
    assert (answer.status_code, answer.json()["name"]) == (422, "recipient_suppressed")


def test_other_workspaces_are_not_affected(recipient, path, stranger):
    recipient.post(path)
    assert stranger.get("/suppressions").json()["data"] == []


def test_it_is_in_the_events_of_the_email(recipient, path, api):
    recipient.post(path)
    (event,) = api.get(f"/emails/{Email.objects.get().pk}/events").json()["data"]
    assert (event["type"], event["recipient"]) == ("unsubscribed", "bob@example.net")
    assert Suppression.objects.get().event_id == UUID(event["id"])


def test_mail_clients_may_post_form_data(recipient, path):
    assert recipient.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert Suppression.objects.exists()


@pytest.mark.parametrize("method", ["get", "head"])
def test_viewing_the_page_unsubscribes_nobody(recipient, path, method, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = getattr(recipient, method)(path)
    assert (answer.status_code, dict(answer.cookies)) == (200, {})
    assert not Suppression.objects.exists()


def test_the_page_works_in_any_browser(recipient, path):
    answer = recipient.get(path)
    page = answer.content.decode()
    assert "<strong>bob@example.net</strong>" in page
    assert '<form method="post">' in page
    assert '<button type="submit">Unsubscribe</button>' in page
    assert '<html lang="en">' in page
    assert "<script" not in page
    assert "form-action 'self'" in answer["Content-Security-Policy"]
    assert answer["Cache-Control"] == "no-store, private"
    assert answer["Referrer-Policy"] == "no-referrer"


def test_the_address_is_escaped(recipient, workspace):
    request = Unsubscribe(workspace.pk, uuid7(), "<b>@example.net")
    page = recipient.get(f"/t/u/{sign_unsubscribe(request)}").content.decode()
    assert "&lt;b&gt;@example.net" in page


@pytest.mark.parametrize("method", ["get", "post"])
def test_invalid_tokens_are_not_found(recipient, path, method):
    for other in (path[:-1], path + "A", "/t/u/abc"):
        answer = getattr(recipient, method)(other)
        assert answer.status_code == 404
        assert "Link not found" in answer.content.decode()
    assert not Suppression.objects.exists()


def test_other_methods_are_rejected(recipient, path):
    assert recipient.put(path).status_code == 405


def test_tokens_of_old_keys_work(recipient, path):
    with override_settings(TRACKING_KEYS=["new", "for-tests-only"]):
        assert recipient.post(path).status_code == 200
    assert Suppression.objects.exists()


def test_the_email_itself_may_be_deleted(recipient, path, workspace):
    Email.objects.all().delete()
    assert recipient.post(path).status_code == 200
    assert Suppression.objects.get(workspace=workspace).email == "bob@example.net"


def test_simulator_addresses_are_never_suppressed(recipient, workspace):
    request = Unsubscribe(workspace.pk, uuid7(), "success@simulator.amazonses.com")
    assert recipient.post(f"/t/u/{sign_unsubscribe(request)}").status_code == 200
    assert not Suppression.objects.exists()
    assert not Contact.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_link_of_a_deleted_workspace_is_not_found(recipient):
    request = Unsubscribe(uuid7(), uuid7(), "bob@example.net")
    assert recipient.post(f"/t/u/{sign_unsubscribe(request)}").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_without_the_database_the_answer_is_503(recipient, path):
    with missing_database():
        answer = recipient.post(path)
        shown = recipient.get(path)
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert "Try again" in answer.content.decode()
    assert shown.status_code == 200
    assert not Suppression.objects.exists()
    assert recipient.post(path).status_code == 200
    assert Suppression.objects.exists()
