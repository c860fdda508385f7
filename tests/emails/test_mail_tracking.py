"""Tracking in sent emails: what goes to the provider, and what does not change."""

import re
from email import message_from_bytes
from email.policy import default

import pytest

from contacts.models import Suppression
from emails.models import Email
from emails.sending.loop import send_due
from tracking import html_rewriting
from tracking.hit_writer import flush
from tracking.tokens import read_click, read_open

pytestmark = pytest.mark.django_db

HTML = '<p>Hi <a href="https://a.test/?b=1&amp;c=2">there</a></p>'
CLICK = re.compile(r"http://testserver/t/c/([\w-]+)")
PIXEL = re.compile(r"http://testserver/t/o/([\w-]+)\.gif")


@pytest.fixture
def sent(accepted, provider):
    """`sent(...)`: the email, and the HTML and text that went to the provider."""

    def send(**changes):
        email = accepted(**({"html": HTML, "text": None} | changes))
        send_due()
        message = message_from_bytes(provider.sent[-1].mime, policy=default)
        html, text = (message.get_body((kind,)) for kind in ("html", "plain"))
        return email, html.get_content() if html else "", text.get_content()

    return send


@pytest.fixture
def set_tracking(domain):
    def set_tracking(**columns):
        type(domain).objects.update(**columns)

    return set_tracking


def test_links_and_the_pixel_identify_the_email_and_its_recipient(sent, set_tracking):
    set_tracking(open_tracking=True, click_tracking=True)
    email, html, text = sent()
    link, honeypot = map(read_click, CLICK.findall(html))
    assert (link.link, link.links, link.target) == (1, 1, "https://a.test/?b=1&c=2")
    assert (honeypot.link, honeypot.target) == (0, "")
    pixel = read_open(*PIXEL.findall(html))
    recipient = email.recipients.get().pk
    assert {(each.email_id, each.recipient_id) for each in (link, honeypot, pixel)} == {
        (email.pk, recipient)
    }
    assert text.strip() == "Hi there (https://a.test/?b=1&c=2)"


@pytest.mark.parametrize(
    ("columns", "clicks", "pixels"),
    [
        ({"open_tracking": True}, 0, 1),
        ({"click_tracking": True}, 2, 0),
        ({}, 0, 0),
    ],
)
def test_opens_and_clicks_are_tracked_independently(sent, set_tracking, columns, clicks, pixels):
    set_tracking(**columns)
    _, html, _ = sent()
    assert (len(CLICK.findall(html)), len(PIXEL.findall(html))) == (clicks, pixels)


@pytest.mark.parametrize(("limit", "is_tracked"), [(2_000, False), (20_000, True)])
def test_tracking_never_makes_a_mail_too_large(sent, set_tracking, monkeypatch, limit, is_tracked):
    """What was accepted is sent: without tracking, where its URLs exceed what SES takes."""
    monkeypatch.setattr("emails.sending.loop.MAX_MESSAGE", limit)
    set_tracking(open_tracking=True, click_tracking=True)
    _, html, _ = sent(html=HTML * 10)
    assert bool(CLICK.search(html)) == bool(PIXEL.search(html)) == is_tracked


def test_the_row_is_not_changed(sent, set_tracking, api):
    set_tracking(open_tracking=True, click_tracking=True)
    email, _, _ = sent()
    shown = api.get(f"/emails/{email.pk}").json()
    assert (shown["html"], shown["text"]) == (HTML, None)
    assert (shown["open_tracking"], shown["click_tracking"]) == (True, True)


def test_the_setting_of_the_domain_at_accept_applies(accepted, provider, set_tracking):
    set_tracking(click_tracking=True)
    accepted(html=HTML)
    set_tracking(click_tracking=False)
    send_due()
    assert b"/t/c/" in provider.sent[-1].mime.replace(b"=\r\n", b"")


def test_several_recipients_are_not_distinguished(sent, set_tracking):
    set_tracking(open_tracking=True, click_tracking=True)
    _, html, _ = sent(to="a@example.net", bcc="b@example.net")
    assert {read_click(token).recipient_id for token in CLICK.findall(html)} == {None}
    assert read_open(*PIXEL.findall(html)).recipient_id is None


def test_the_only_deliverable_recipient_is_identified(sent, set_tracking, workspace, accepted):
    set_tracking(open_tracking=True)
    Suppression.objects.create(workspace=workspace, email="b@example.net", origin="bounce")
    email, html, _ = sent(to=["a@example.net", "b@example.net"])
    sole = email.recipients.get(address="a@example.net")
    assert read_open(*PIXEL.findall(html)).recipient_id == sole.pk


def test_text_is_never_changed(sent, set_tracking):
    set_tracking(open_tracking=True, click_tracking=True)
    _, html, text = sent(html=None, text="See https://a.test/")
    assert (html, text.strip()) == ("", "See https://a.test/")


def test_html_is_not_parsed_without_tracking(sent, domain, monkeypatch):
    monkeypatch.setattr(html_rewriting, "scan", None)
    _, html, _ = sent()
    assert html.strip() == HTML


@pytest.mark.django_db(transaction=True)
def test_links_of_a_deleted_email_still_redirect(sent, set_tracking, client, settings):
    set_tracking(click_tracking=True)
    _, html, _ = sent()
    Email.objects.all().delete()
    settings.TRACKING_KEYS = ["newer", *settings.TRACKING_KEYS]
    url = CLICK.search(html)[0].removeprefix("http://testserver")
    assert client.get(url)["Location"] == "https://a.test/?b=1&c=2"
    assert flush(10)
