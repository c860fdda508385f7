"""A way out of every mail that asks for one: offered, followed, and durable."""

import re
from email import message_from_bytes
from email.policy import default
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client, override_settings

from contacts.models import Contact, Suppression
from contacts.suppressions import unsuppress
from core.db.ids import uuid7
from emails.models import Email, EmailEvent
from emails.sending.loop import send_due
from tracking.tokens import Unsubscribe, read_unsubscribe, sign_unsubscribe

pytestmark = pytest.mark.django_db

HEADERS = {"X-OpenSend-Unsubscribe": "true"}
PLACEHOLDER = "{{{OPENSEND_UNSUBSCRIBE_URL}}}"
PUBLISHED = ("contact.created", "contact.updated", "suppression.added", "email.unsubscribed")


@pytest.fixture
def person():
    """Somebody with a plain browser."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def sent(accepted, provider):
    """The message of a mail as it went to the provider."""

    def send(**changes):
        email = accepted(**changes)
        send_due()
        (call,) = [call for call in provider.sent if call.email_id == str(email.pk)]
        return email, message_from_bytes(call.mime, policy=default)

    return send


@pytest.fixture
def path(workspace, accepted):
    """Where bob@example.net unsubscribes from a mail of Alice's."""
    email = accepted(headers=HEADERS)
    return "/t/u/" + sign_unsubscribe(Unsubscribe(workspace.pk, email.pk, "bob@example.net"))


def body_of(message, kind):
    return message.get_body((kind,)).get_content()


# --- Offering -----------------------------------------------------------------------------------


def test_the_header_makes_a_mail_that_is_left_by_one_click(sent, workspace):
    email, message = sent(to="Bob <Bob@Example.net>", headers={**HEADERS, "X-Own": "1"})
    url = re.fullmatch(r"<(http://testserver/t/u/([\w-]+))>", message["List-Unsubscribe"])
    assert read_unsubscribe(url[2]) == Unsubscribe(workspace.pk, email.pk, "Bob@example.net")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["X-Own"] == "1"
    assert "X-OpenSend-Unsubscribe" not in message
    assert email.unsubscribe


def test_the_placeholder_becomes_the_same_address_everywhere(sent):
    link = f'<a href="{PLACEHOLDER}">Leave</a>'
    _, message = sent(html=link, text=f"Leave: {PLACEHOLDER}")
    url = message["List-Unsubscribe"].strip("<>")
    assert f'href="{url}"' in body_of(message, "html")
    assert body_of(message, "plain").split() == ["Leave:", url]
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_the_way_out_is_not_tracked(sent, domain):
    type(domain).objects.update(click_tracking=True)
    html = f'<a href="{PLACEHOLDER}">Leave</a> <a href="https://a.test/">A</a>'
    _, message = sent(html=html, text=None)
    url = message["List-Unsubscribe"].strip("<>")
    assert f'href="{url}"' in body_of(message, "html")
    assert "https://a.test/" not in body_of(message, "html")
    assert url in body_of(message, "plain")
    assert "(https://a.test/)" in body_of(message, "plain")


def test_other_mail_has_no_such_header(sent):
    email, message = sent()
    assert "List-Unsubscribe" not in message
    assert not email.unsubscribe


def test_senders_may_have_a_way_of_their_own(sent, domain):
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
def test_what_cannot_be_offered_is_refused_with_a_reason(send, changes, field, problem):
    answer = send(**changes)
    assert answer.status_code == 422
    (told,) = answer.json()["details"]["fields"].items()
    assert (told[0], problem in told[1]) == (field, True)
    assert not Email.objects.exists()


# --- Following ----------------------------------------------------------------------------------


def test_one_click_suppresses_and_unsubscribes(person, path, workspace, published):
    answer = person.post(
        path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
    )
    assert (answer.status_code, dict(answer.cookies)) == (200, {})
    assert "You are unsubscribed" in answer.content.decode()
    suppression = Suppression.objects.get(workspace=workspace)
    assert (suppression.email, suppression.origin) == ("bob@example.net", "unsubscribed")
    assert suppression.email_id == Email.objects.get().pk
    assert Contact.objects.get(workspace=workspace).unsubscribed
    assert [name for name, _ in published(*PUBLISHED)] == ["suppression.added", "contact.created"]


def test_a_contact_that_is_known_is_updated(person, path, workspace, published):
    Contact.objects.create(workspace=workspace, email="Bob@example.net", first_name="Bob")
    person.post(path)
    assert Contact.objects.get().unsubscribed
    ((_, data),) = published("contact.updated")
    assert (data["first_name"], data["changed_fields"]) == ("Bob", ["unsubscribed"])


def test_a_second_click_changes_nothing(person, path, published):
    for _ in range(3):
        assert person.post(path).status_code == 200
    assert len(published(*PUBLISHED)) == 2
    assert EmailEvent.objects.filter(type="unsubscribed").count() == 1


def test_who_was_subscribed_again_can_leave_again(person, path):
    person.post(path)
    unsuppress(Suppression.objects.all())
    assert not Contact.objects.get().unsubscribed
    person.post(path)
    assert Suppression.objects.get().origin == "unsubscribed"
    assert Contact.objects.get().unsubscribed


def test_no_more_mail_is_sent(person, path, send):
    person.post(path)
    answer = send()
    assert (answer.status_code, answer.json()["name"]) == (422, "recipient_suppressed")


def test_only_that_workspace_is_left(person, path, stranger):
    person.post(path)
    assert stranger.get("/suppressions").json()["data"] == []


def test_it_shows_in_the_history_of_the_mail(person, path, api):
    person.post(path)
    (event,) = api.get(f"/emails/{Email.objects.get().pk}/events").json()["data"]
    assert (event["type"], event["recipient"]) == ("unsubscribed", "bob@example.net")
    assert Suppression.objects.get().event_id == UUID(event["id"])


def test_mail_programs_may_post_it_as_form_data(person, path):
    assert person.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert Suppression.objects.exists()


@pytest.mark.parametrize("method", ["get", "head"])
def test_looking_at_the_page_unsubscribes_nobody(person, path, method, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = getattr(person, method)(path)
    assert (answer.status_code, dict(answer.cookies)) == (200, {})
    assert not Suppression.objects.exists()


def test_the_page_works_in_any_browser(person, path):
    answer = person.get(path)
    page = answer.content.decode()
    assert "<strong>bob@example.net</strong>" in page
    assert '<form method="post">' in page
    assert '<button type="submit">Unsubscribe</button>' in page
    assert '<html lang="en">' in page
    assert "<script" not in page
    assert "form-action 'self'" in answer["Content-Security-Policy"]
    assert answer["Cache-Control"] == "no-store, private"
    assert answer["Referrer-Policy"] == "no-referrer"


def test_an_address_is_no_html(person, workspace):
    said = Unsubscribe(workspace.pk, uuid7(), "<b>@example.net")
    page = person.get(f"/t/u/{sign_unsubscribe(said)}").content.decode()
    assert "&lt;b&gt;@example.net" in page


@pytest.mark.parametrize("method", ["get", "post"])
def test_links_that_are_not_ours_are_not_found(person, path, method):
    for other in (path[:-1], path + "A", "/t/u/abc"):
        answer = getattr(person, method)(other)
        assert answer.status_code == 404
        assert "Link not found" in answer.content.decode()
    assert not Suppression.objects.exists()


def test_other_methods_are_refused(person, path):
    assert person.put(path).status_code == 405


def test_links_of_old_keys_work(person, path):
    with override_settings(TRACKING_KEYS=["new", "for-tests-only"]):
        assert person.post(path).status_code == 200
    assert Suppression.objects.exists()


def test_the_mail_itself_may_be_gone(person, path, workspace):
    Email.objects.all().delete()
    assert person.post(path).status_code == 200
    assert Suppression.objects.get(workspace=workspace).email == "bob@example.net"


def test_the_simulator_can_be_written_to_again(person, workspace):
    said = Unsubscribe(workspace.pk, uuid7(), "success@simulator.amazonses.com")
    assert person.post(f"/t/u/{sign_unsubscribe(said)}").status_code == 200
    assert not Suppression.objects.exists()
    assert not Contact.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_link_of_a_workspace_that_is_gone_is_not_found(person):
    said = Unsubscribe(uuid7(), uuid7(), "bob@example.net")
    assert person.post(f"/t/u/{sign_unsubscribe(said)}").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_without_the_database_it_is_to_be_tried_again(person, path):
    place = connections["default"].settings_dict
    genuine = place["NAME"]
    connections["default"].close()
    place["NAME"] = "nowhere"
    try:
        answer = person.post(path)
        shown = person.get(path)
    finally:
        place["NAME"] = genuine
        connections["default"].close()
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert "Try again" in answer.content.decode()
    assert shown.status_code == 200
    assert not Suppression.objects.exists()
    assert person.post(path).status_code == 200
    assert Suppression.objects.exists()
