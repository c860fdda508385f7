"""A mail is previewed as its recipient sees it, but sandboxed."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from django.urls import reverse
from django.utils import timezone

from ingest.admin import redacted
from ingest.models import ProviderEvent
from tracking.models import Hit

pytestmark = pytest.mark.django_db

HOSTILE = """</iframe></section><script>alert('owned')</script>
<img src="https://tracker.test/pixel.gif" onerror="alert(1)"><body onload="alert(2)">
"><svg/onload=alert(3)><meta http-equiv="Content-Security-Policy" content="default-src *">
<base href="https://evil.test/"><form action="https://evil.test/"><button>x</button></form>"""


class Page(HTMLParser):
    """The tags that a browser parses outside of attributes."""

    def __init__(self, source):
        super().__init__()
        self.tags = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def frame(self):
        frames = [attrs for tag, attrs in self.tags if tag == "iframe"]
        assert len(frames) == 1
        return frames[0]


def open_page(operator, email, query=""):
    address = reverse("admin:emails_email_change", args=[email.pk])
    response = operator.get(address + query)
    assert response.status_code == 200
    return response


def test_hostile_html_stays_inside_its_frame(operator, make_email):
    email = make_email(html=HOSTILE, subject="<script>alert('subject')</script>")
    source = open_page(operator, email).content.decode()
    page = Page(source)
    assert "alert(" not in re.sub(r'srcdoc="[^"]*"', "", source).replace("alert(&#x27;subject", "")
    assert not [tag for tag, attrs in page.tags if "onload" in attrs or "onerror" in attrs]
    assert not [tag for tag, attrs in page.tags if "test/" in str(attrs.get("src"))]
    assert page.frame()["sandbox"] == ""
    assert page.frame()["srcdoc"].endswith(HOSTILE)


def test_the_frames_policy_precedes_the_mails_html(operator, make_email):
    document = Page(open_page(operator, make_email(html=HOSTILE)).content.decode()).frame()[
        "srcdoc"
    ]
    policy = document.index("default-src 'none'; style-src 'unsafe-inline'")
    assert policy < document.index(HOSTILE)
    assert "img-src data:" in document
    assert "script-src" not in document.partition(HOSTILE)[0]


def test_links_cannot_load_pages_into_the_frame(operator, make_email):
    policy = open_page(operator, make_email(html="<a href='https://evil.test'>x</a>"))
    assert "frame-src 'none'" in policy["Content-Security-Policy"]


def test_remote_images_are_blocked_by_default(operator, make_email):
    email = make_email(html='<img src="https://tracker.test/pixel.gif">')
    default = Page(open_page(operator, email).content.decode()).frame()["srcdoc"]
    with_images = Page(open_page(operator, email, "?images=1").content.decode()).frame()["srcdoc"]
    assert 'img-src data:"' in default
    assert 'img-src data: https: http:"' in with_images
    assert "default-src 'none'" in with_images


def test_the_page_shows_text_headers_recipients_and_timeline(operator, make_email):
    email = make_email(text="Dear <b>Bob</b>", headers={"X-Campaign": "june & july"})
    email.recipients.create(kind="bcc", address="eve@example.net", status="bounced", detail="gone")
    for type_, payload in (("bounced", {"subType": "NoEmail"}), ("sent", {})):
        email.events.create(
            workspace=email.workspace,
            type=type_,
            fingerprint=type_,
            payload=payload,
            occurred_at=timezone.now(),
        )
    source = unescape(open_page(operator, email).content.decode())
    for piece in ("Dear <b>Bob</b>", "june & july", "eve@example.net", "gone", "NoEmail"):
        assert piece in source
    timeline = source.partition("Timeline")[2]
    assert timeline.index("bounced") < timeline.index("sent")


def test_the_page_shows_opens_and_clicks(operator, make_email):
    email = make_email()
    for kind, verdict, reasons in (("open", "human", []), ("click", "machine", ["hidden_link"])):
        Hit.objects.create(
            kind=kind,
            email_id=email.pk,
            target="https://shop.test/" if kind == "click" else "",
            user_agent="Thunderbird",
            network="192.0.2.0",
            verdict=verdict,
            reasons=reasons,
            at=timezone.now(),
            next_attempt_at=None,
        )
    source = open_page(operator, email).content.decode()
    panel = source.partition("Opens and clicks</")[2]
    for piece in ("hidden_link", "https://shop.test/", "Thunderbird", "192.0.2.0", "human"):
        assert piece in panel
    assert f"/admin/tracking/hit/?q={email.pk}" in panel


def test_the_callbacks_about_a_mail_are_linked(operator, make_email):
    email = make_email()
    row = ProviderEvent.objects.create(source="ses", event_id="m-1", body="{}", email_id=email.pk)
    assert (
        f"/admin/ingest/providerevent/{row.pk}/change/"
        in open_page(operator, email).content.decode()
    )


def test_a_callback_hides_tokens_and_unsubscribe_urls():
    body = (
        '{"Token": "t", "nested": [{"UnsubscribeURL": "u"}], "text": "To stop visit\\n'
        'https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&x=1\\nBye"}'
    )
    assert redacted(body) == {
        "Token": "[hidden]",
        "nested": [{"UnsubscribeURL": "[hidden]"}],
        "text": "To stop visit\n[hidden]\nBye",
    }
    assert redacted("see https://sns/?Action=ConfirmSubscription&Token=t") == "[hidden]"
