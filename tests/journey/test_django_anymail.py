"""Another Django project sends through OpenSend as in docs/django.md, without any of our code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from devstack.embedded import free_port
from tests.clients import wait_until

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "django.md").read_text()
BASE_SETTINGS = """
SECRET_KEY = "for-tests-only"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.contenttypes"]
ROOT_URLCONF = "urls"
"""
SEND = """
import sys, django
django.setup()
from django.core.mail import send_mail
import orders
print(orders.confirm("A-17", sys.argv[1]))
send_mail("Plain", "As Django sends it", None, [sys.argv[2]])
"""
REJECTED = """
import django
django.setup()
from anymail.exceptions import AnymailRequestsAPIError
from django.core.mail import send_mail
try:
    send_mail("Hello", "Hi", "me@not-ours.example", ["someone@example.com"])
except AnymailRequestsAPIError as error:
    print(error.response.json()["name"])
"""
SERVE = """
import sys, django
django.setup()
import tracking
from django.core.management import call_command
call_command("runserver", "127.0.0.1:" + sys.argv[1], "--noreload", "--skip-checks")
"""


def blocks():
    """The page's Python blocks, by the file name in their first line."""
    found = re.findall(r"```python\n# (\w+\.py)[^\n]*\n(.*?)```", PAGE, re.DOTALL)
    return dict(found)


class Shop:
    """The project of the page, in its own folder."""

    def __init__(self, folder, product):
        self.folder = folder
        for name, code in blocks().items():
            prefix = BASE_SETTINGS if name == "settings.py" else ""
            (folder / name).write_text(prefix + code)
        self.variables = {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "settings",
            "OPENSEND_URL": product.facts["base_url"],
            "OPENSEND_API_KEY": product.facts["api_key"],
            "OPENSEND_WEBHOOK_SECRET": "whsec_" + "A" * 43 + "=",
        }

    def run(self, code, *arguments):
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout.split()

    def serve(self, port, log):
        return subprocess.Popen(
            [sys.executable, "-c", SERVE, str(port)],
            cwd=self.folder,
            env=self.variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture
def shop(tmp_path, product):
    return Shop(tmp_path, product)


def test_a_message_arrives_as_django_built_it(shop, product, somebody):
    customer, other = somebody(), somebody()
    (email_id,) = shop.run(SEND, customer, other)
    (message,) = wait_until(lambda: product.twin("mail", recipient=customer), what="the mail")
    assert sorted(message["envelope"]["to"]) == sorted([customer, "archive@example.com"])
    email = product.get(f"/emails/{email_id}")
    assert (email["subject"], email["from"]) == (
        "Your order A-17",
        "Shop <shop@demo.opensend.test>",
    )
    assert (email["html"], email["text"]) == ("<p>Thank you!</p>", "Thank you!")
    assert email["reply_to"] == ["help@demo.opensend.test"]
    assert wait_until(lambda: product.twin("mail", recipient=other), what="the plain mail")


def test_a_rejection_raises_with_our_response(shop):
    assert shop.run(REJECTED) == ["domain_not_verified"]


def test_anymail_accepts_our_webhooks(shop, product, somebody, resend_client):
    port = free_port()
    url = f"http://127.0.0.1:{port}/anymail/resend/tracking/"
    webhook = resend_client.Webhooks.create({"endpoint": url, "events": ["email.*"]})
    shop.variables["OPENSEND_WEBHOOK_SECRET"] = webhook["signing_secret"]
    path = shop.folder / "log"
    with path.open("w") as log:
        server = shop.serve(port, log)
    try:
        wait_until(lambda: _responds(port), what="the shop's server")
        customer = somebody("bounce.twin.test")
        email_id = shop.run(SEND, customer, somebody())[0]

        def logged():
            return {
                tuple(line.split()[1:])
                for line in path.read_text().splitlines()
                if line.startswith(email_id)
            }

        expected = {("sent", customer), ("bounced", customer)}  # in any order
        wait_until(lambda: expected <= logged(), seconds=20, what="the events")
        listed = product.get(f"/webhooks/{webhook['id']}/events")["data"]
        assert {each["last_status_code"] for each in listed} <= {200, None}
    finally:
        server.terminate()
        server.wait(10)
        resend_client.Webhooks.remove(webhook["id"])


def _responds(port):
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=1).status_code == 404
    except (requests.ConnectionError, requests.Timeout):
        return False
