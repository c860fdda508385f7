"""Requests of clients in other languages, replayed byte by byte as those write them."""

import email
import email.policy
import json
from base64 import b64decode, b64encode

import pytest
import requests

from tests.journey.product import wait_until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
CALENDAR = "BEGIN:VCALENDAR\r\nSUMMARY:Prüfung\r\nEND:VCALENDAR\r\n"

# Laravel's mail transport (illuminate/mail) through resend-php: every field, in this order, with
# PHP's empty arrays. json_encode escapes slashes and everything beyond ASCII.
LARAVEL = (
    '{"from":"\\"Ada\\" <ada@demo.opensend.test>","to":["%(to)s"],"cc":[],"bcc":[],"reply_to":[],'
    '"headers":%(headers)s,"subject":"Gr\\u00fc\\u00dfe","html":"<p>Hi<\\/p>","text":null,'
    '"attachments":%(attachments)s}'
)
# ActionMailer through resend-ruby's delivery method: a file is the list of its bytes, headers are
# what the mailer assigned.
RAILS = (
    '{"from":"Ada <ada@demo.opensend.test>","to":["%(to)s"],"subject":"Hi",'
    '"headers":{"X-Entity-Ref-ID":4711,"X-Auto":true,"X-Ratio":0.5,"X-None":null},'
    '"tags":[{"name":"order","value":"a-17"}],'
    '"attachments":[{"filename":"logo.png","content":%(bytes)s}],"text":"Hi","html":"<p>Hi</p>"}'
)
# Symfony's mailer bridge.
SYMFONY = (
    '{"from":"Ada <ada@demo.opensend.test>","to":["%(to)s"],"subject":"Hi",'
    '"attachments":[{"filename":"logo.png","content":"%(base64)s"}],'
    '"reply_to":"answers@demo.opensend.test","text":"Hi","headers":{"X-Priority":"1 (Highest)"}}'
)


@pytest.fixture
def post(product):
    """`post(path, body, method="POST")`: the JSON of a successful answer."""

    def post(path, body, *, method="POST"):
        answer = requests.request(
            method,
            product.facts["base_url"] + path,
            data=body.encode("ascii"),
            headers={
                "Authorization": f"Bearer {product.facts['api_key']}",
                "Content-Type": "application/json",
            },
            timeout=10,
        )
        assert answer.ok, answer.text
        return answer.json()

    return post


@pytest.fixture
def arrived(product):
    def arrived(address):
        (message,) = wait_until(lambda: product.twin("mail", recipient=address), what="the mail")
        raw = b64decode(message["raw_base64"])
        return email.message_from_bytes(raw, policy=email.policy.default)

    return arrived


def files(message):
    return {
        part.get_filename(): (part.get_content_type(), part.get_payload(decode=True))
        for part in message.walk()
        if part.get_filename()
    }


def test_a_plain_mail_of_laravel(post, arrived, somebody):
    to = somebody()
    post("/emails", LARAVEL % {"to": to, "headers": "[]", "attachments": "[]"})
    message = arrived(to)
    assert (message["Subject"], message["From"]) == ("Grüße", "Ada <ada@demo.opensend.test>")
    assert message.get_body(["html"]).get_content().strip() == "<p>Hi</p>"
    assert message.get_body(["plain"]).get_content().strip() == "Hi"


def test_a_mail_of_laravel_with_files_and_headers(post, arrived, somebody):
    to = somebody()
    items = [
        {"content_type": "image/png", "content": b64encode(PNG).decode(), "filename": "logo.png"},
        {"content_type": "text/calendar", "content": CALENDAR, "filename": "invite.ics"},
        {"content_type": "text/csv", "content": b64encode(b"a,b").decode(), "filename": "a.csv"},
    ]
    headers = '{"X-Mailer":"Laravel"}'
    body = LARAVEL % {"to": to, "headers": headers, "attachments": json.dumps(items)}
    post("/emails", body)
    message = arrived(to)
    assert message["X-Mailer"] == "Laravel"
    assert files(message) == {
        "logo.png": ("image/png", PNG),
        "invite.ics": ("text/calendar", CALENDAR.encode()),
        "a.csv": ("text/csv", b"a,b"),
    }


def test_a_mail_of_an_older_laravel_names_no_types(post, arrived, somebody):
    to = somebody()
    items = [{"content": b64encode(PNG).decode(), "filename": "logo.png"}]
    # It overwrites its headers with an object that has no public properties.
    post("/emails", LARAVEL % {"to": to, "headers": "{}", "attachments": json.dumps(items)})
    assert files(arrived(to)) == {"logo.png": ("image/png", PNG)}


def test_a_batch_of_resend_php(post, arrived, somebody):
    recipients = [somebody(), somebody()]
    mails = (LARAVEL % {"to": to, "headers": "[]", "attachments": "[]"} for to in recipients)
    assert len(post("/emails/batch", f"[{','.join(mails)}]")["data"]) == 2
    assert [arrived(to)["Subject"] for to in recipients] == ["Grüße", "Grüße"]


def test_contacts_webhooks_and_domains_of_resend_php(post, product, somebody):
    address = somebody()
    post("/contacts", f'{{"email":"{address}","unsubscribed":false,"properties":[]}}')
    post(f"/contacts/{address}", '{"first_name":"Ada","properties":[]}', method="PATCH")
    assert product.get(f"/contacts/{address}")["first_name"] == "Ada"
    body = '{"endpoint":"https:\\/\\/shop.example\\/hooks","events":["email.sent"],"headers":[]}'
    made = post("/webhooks", body)
    product.api("DELETE", f"/webhooks/{made['id']}")
    domain_id = product.get("/domains")["data"][0]["id"]
    post(f"/domains/{domain_id}", '{"capabilities":[]}', method="PATCH")


def test_a_mail_of_rails(post, arrived, somebody):
    to = somebody()
    post("/emails", RAILS % {"to": to, "bytes": json.dumps(list(PNG))})
    message = arrived(to)
    assert (message["X-Entity-Ref-ID"], message["X-Auto"], message["X-Ratio"]) == (
        "4711",
        "true",
        "0.5",
    )
    assert message["X-None"] is None
    assert files(message) == {"logo.png": ("image/png", PNG)}


def test_a_mail_of_symfony(post, arrived, somebody):
    to = somebody()
    post("/emails", SYMFONY % {"to": to, "base64": b64encode(PNG).decode()})
    message = arrived(to)
    assert (message["Reply-To"], message["X-Priority"]) == (
        "answers@demo.opensend.test",
        "1 (Highest)",
    )
    assert files(message) == {"logo.png": ("image/png", PNG)}


def test_the_python_client_with_a_slash_at_the_end_of_its_url(
    resend_client, product, monkeypatch, mail, arrived, somebody
):
    monkeypatch.setattr(resend_client, "api_url", product.facts["base_url"] + "/")
    to = somebody()
    resend_client.Emails.send(mail(to))
    assert arrived(to)["Subject"] == "Hello"
