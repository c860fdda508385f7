"""Mail of domains that track: what goes to the provider, and what does not change."""

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
PICTURE = re.compile(r"http://testserver/t/o/([\w-]+)\.gif")


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
def tracks(domain):
    def tracks(**columns):
        type(domain).objects.update(**columns)

    return tracks


def test_links_and_the_picture_name_the_mail_and_its_recipient(sent, tracks):
    tracks(open_tracking=True, click_tracking=True)
    email, html, text = sent()
    link, trap = map(read_click, CLICK.findall(html))
    assert (link.link, link.links, link.target) == (1, 1, "https://a.test/?b=1&c=2")
    assert (trap.link, trap.target) == (0, "")
    seen = read_open(*PICTURE.findall(html))
    recipient = email.recipients.get().pk
    assert {(each.email_id, each.recipient_id) for each in (link, trap, seen)} == {
        (email.pk, recipient)
    }
    assert text.strip() == "Hi there (https://a.test/?b=1&c=2)"


@pytest.mark.parametrize(
    ("columns", "clicks", "pictures"),
    [
        ({"open_tracking": True}, 0, 1),
        ({"click_tracking": True}, 2, 0),
        ({}, 0, 0),
    ],
)
def test_each_kind_is_a_matter_of_its_own(sent, tracks, columns, clicks, pictures):
    tracks(**columns)
    _, html, _ = sent()
    assert (len(CLICK.findall(html)), len(PICTURE.findall(html))) == (clicks, pictures)


def test_the_row_stays_as_it_was_written(sent, tracks, api):
    tracks(open_tracking=True, click_tracking=True)
    email, _, _ = sent()
    shown = api.get(f"/emails/{email.pk}").json()
    assert (shown["html"], shown["text"]) == (HTML, None)
    assert (shown["open_tracking"], shown["click_tracking"]) == (True, True)


def test_what_counts_is_how_the_domain_was_when_the_mail_was_accepted(accepted, provider, tracks):
    tracks(click_tracking=True)
    accepted(html=HTML)
    tracks(click_tracking=False)
    send_due()
    assert b"/t/c/" in provider.sent[-1].mime.replace(b"=\r\n", b"")


def test_several_recipients_are_not_told_apart(sent, tracks):
    tracks(open_tracking=True, click_tracking=True)
    _, html, _ = sent(to="a@example.net", bcc="b@example.net")
    assert {read_click(token).recipient_id for token in CLICK.findall(html)} == {None}
    assert read_open(*PICTURE.findall(html)).recipient_id is None


def test_the_one_who_is_left_of_several_is_named(sent, tracks, workspace, accepted):
    tracks(open_tracking=True)
    Suppression.objects.create(workspace=workspace, email="b@example.net", origin="bounce")
    email, html, _ = sent(to=["a@example.net", "b@example.net"])
    left = email.recipients.get(address="a@example.net")
    assert read_open(*PICTURE.findall(html)).recipient_id == left.pk


def test_text_is_never_changed(sent, tracks):
    tracks(open_tracking=True, click_tracking=True)
    _, html, text = sent(html=None, text="See https://a.test/")
    assert (html, text.strip()) == ("", "See https://a.test/")


def test_mail_that_nobody_tracks_is_not_even_read(sent, domain, monkeypatch):
    monkeypatch.setattr(html_rewriting, "scan", None)
    _, html, _ = sent()
    assert html.strip() == HTML


@pytest.mark.django_db(transaction=True)
def test_links_of_a_domain_that_is_gone_still_lead_on(sent, tracks, client, settings):
    tracks(click_tracking=True)
    _, html, _ = sent()
    Email.objects.all().delete()
    settings.TRACKING_KEYS = ["newer", *settings.TRACKING_KEYS]
    url = CLICK.search(html)[0].removeprefix("http://testserver")
    assert client.get(url)["Location"] == "https://a.test/?b=1&c=2"
    assert flush(10)
