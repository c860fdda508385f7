"""A tracked mail, from the client to the recipient's click and to the customer's webhook."""

import re
from email import message_from_bytes
from email.policy import default

import pytest
import requests

from tests.clients import wait_until

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"}
HTML = '<body><p><a href="https://shop.test/?a=1&amp;b=2">Shop</a></p></body>'


@pytest.fixture
def tracking(product, resend_client):
    """Enables open and click tracking of the demo domain during a test."""
    (domain,) = resend_client.Domains.list()["data"]
    switch = {"id": domain["id"], "open_tracking": True, "click_tracking": True}
    resend_client.Domains.update(switch)
    yield
    resend_client.Domains.update(switch | {"open_tracking": False, "click_tracking": False})


@pytest.fixture
def read(product):
    """`read(address)`: the message that the stand-in for AWS accepted for this address."""

    def read(address):
        found = wait_until(
            lambda: product.twin("mail", recipient=address), what=f"mail to {address}"
        )
        url = f"{product.facts['twin_url']}/_twin/mail/{found[0]['id']}/raw"
        return message_from_bytes(requests.get(url, timeout=10).content, policy=default)

    return read


def received(hook, email_id, name):
    def events():
        return [each.event for each in hook.events(email_id) if each.event["type"] == name]

    return wait_until(events, what=f"{name} for {email_id}")


def test_clicks_and_opens_are_published_as_events(
    product, hook, resend_client, mail, somebody, tracking, read
):
    to = somebody()
    sent = resend_client.Emails.send(mail(to, html=HTML))
    html = read(to).get_body(("html",)).get_content()
    base = re.escape(product.facts["base_url"])
    url = re.search(rf"{base}/t/c/[\w-]+", html)[0]
    pixel = re.search(rf"{base}/t/o/[\w-]+\.gif", html)[0]
    assert "shop.test" not in html

    answer = requests.get(url, headers=BROWSER, allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://shop.test/?a=1&b=2")
    assert "Set-Cookie" not in answer.headers
    answer = requests.get(pixel, headers={"User-Agent": "GoogleImageProxy"}, timeout=10)
    assert answer.headers["Content-Type"] == "image/gif"

    (clicked,) = received(hook, sent["id"], "email.clicked")
    click = clicked["data"]["click"]
    assert clicked["data"]["recipient"] == to
    assert click["link"] == "https://shop.test/?a=1&b=2"
    # This test may click faster than a human would.
    assert set(click["reasons"]) <= {"right_after_sending"}
    assert click["machine"] == bool(click["reasons"])
    (opened,) = received(hook, sent["id"], "email.opened")
    assert "image_proxy" in opened["data"]["open"]["reasons"]
    sent_email = resend_client.Emails.get(sent["id"])
    assert (sent_email["opens"], sent_email["human_opens"], sent_email["clicks"]) == (1, 0, 1)


def test_one_click_unsubscribes(product, hook, resend_client, mail, somebody, read):
    to = somebody()
    headers = {"X-OpenSend-Unsubscribe": "true"}
    resend_client.Emails.send(mail(to, headers=headers))
    message = read(to)
    url = message["List-Unsubscribe"].strip("<>")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    assert requests.get(url, timeout=10).status_code == 200
    form = {"List-Unsubscribe": "One-Click"}
    assert requests.post(url, data=form, timeout=10).status_code == 200

    def is_published():
        return {
            each.event["type"] for each in hook.received if each.event["data"].get("email") == to
        } >= {"contact.created", "suppression.added"}

    wait_until(is_published, what="contact.created and suppression.added")
    with pytest.raises(resend_client.exceptions.ResendError) as rejected:
        resend_client.Emails.send(mail(to))
    assert rejected.value.error_type == "recipient_suppressed"
