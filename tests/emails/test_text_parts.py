"""Which of `html` and `text` become parts: as the clients document it."""

from email import message_from_bytes
from email.policy import default

import pytest

from emails.models import Email
from emails.sending.loop import send_due

pytestmark = pytest.mark.django_db

PARTS = [
    ({"html": "<p>Hi"}, ["text/plain", "text/html"]),
    ({"html": "<p>Hi", "text": None}, ["text/plain", "text/html"]),
    ({"html": "<p>Hi", "text": ""}, ["text/html"]),
    ({"html": "<p>Hi", "text": "Hi"}, ["text/plain", "text/html"]),
    ({"html": "<p>Hi", "text": " "}, ["text/plain", "text/html"]),
    ({"html": "", "text": "Hi"}, ["text/plain"]),
    ({"html": None, "text": "Hi"}, ["text/plain"]),
    ({"html": "<img src=x>"}, ["text/html"]),
]


@pytest.mark.parametrize("tracking", [False, True])
@pytest.mark.parametrize("path", ["/emails", "/emails/batch"])
@pytest.mark.parametrize(("bodies", "types"), PARTS)
def test_an_empty_text_is_no_part(api, domain, provider, path, tracking, bodies, types):
    type(domain).objects.update(open_tracking=tracking, click_tracking=tracking)
    body = {"from": "a@example.com", "to": "b@example.net", "subject": "x"} | bodies
    answer = api.post(path, body if path == "/emails" else [body])
    assert answer.status_code == 200, answer.json()
    Email.objects.update(next_attempt_at="2026-01-01T00:00Z")
    send_due()

    message = message_from_bytes(provider.sent[0].mime, policy=default)
    assert [part.get_content_type() for part in message.walk() if not part.is_multipart()] == types


def test_an_email_without_text_part_reads_back(accepted, api):
    email = accepted(html="<p>Hi", text="")

    assert api.get(f"/emails/{email.pk}").json()["text"] is None
    assert email.html_only


@pytest.mark.parametrize(
    "bodies",
    [{"text": ""}, {"html": "", "text": ""}, {"html": ""}, {"html": None, "text": None}, {}],
)
def test_one_of_both_is_required(api, domain, bodies):
    body = {"from": "a@example.com", "to": "b@example.net", "subject": "x"} | bodies
    answer = api.post("/emails", body)

    assert answer.status_code == 422
    assert answer.json()["details"]["fields"] == {"html": "`html` or `text` is required, or both"}
