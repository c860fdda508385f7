"""Attachments of the whole product with its blobs in S3, as `BLOB_STORE=s3://... make run` has."""

import email
import email.policy
import random
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
import requests

from tests.clients import wait_until

MEBIBYTE = 1024 * 1024
# 40 MiB once encoded as base64: 57 bytes become a line of 78.
MAX_BYTES = 40 * MEBIBYTE // 78 * 57


@pytest.fixture(scope="module")
def large():
    """Bytes that do not compress."""
    return random.Random(7).randbytes(MAX_BYTES - 100 * 1024)


@pytest.fixture
def post(product, mail):
    """`post(to, content)` sends the content as the attachment `a.bin`."""

    def send(to, content):
        attachment = {"filename": "a.bin", "content": b64encode(content).decode()}
        answer = requests.post(
            f"{product.facts['base_url']}/emails",
            json=mail(to, attachments=[attachment]),
            headers={"Authorization": f"Bearer {product.facts['api_key']}"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text

    return send


def accepted(product, address):
    """The one message that the provider accepted for this address, parsed."""

    def messages():
        return product.twin("mail", recipient=address)

    (message,) = wait_until(messages, seconds=60, what=f"mail to {address}")
    return email.message_from_bytes(b64decode(message["raw_base64"]), policy=email.policy.default)


def peak_memory(product, words):
    """The peak memory in bytes of any process with these words in its command."""
    peaks = []
    for process in product.processes:
        if words in " ".join(process.cmdline()):
            status = Path(f"/proc/{process.pid}/status").read_text()
            peaks.append(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
    return max(peaks)


def test_the_resend_client_sends_a_file_and_downloads_it(product, resend_client, mail, somebody):
    to, content = somebody(), bytes(range(256))
    sent = resend_client.Emails.send(
        mail(
            to,
            html='<img src="cid:logo">',
            attachments=[
                {"filename": "Grüße.pdf", "content": list(content)},
                {
                    "filename": "logo.png",
                    "content": b64encode(b"png").decode(),
                    "content_id": "logo",
                },
            ],
        )
    )

    listed = resend_client.Emails.Attachments.list(sent["id"])["data"]
    first = resend_client.Emails.Attachments.get(sent["id"], listed[0]["id"])

    assert [(each["filename"], each["content_disposition"]) for each in listed] == [
        ("Grüße.pdf", "attachment"),
        ("logo.png", "inline"),
    ]
    assert first["download_url"].startswith(f"{product.facts['twin_url']}/attachments/of/mail/")
    answer = requests.get(first["download_url"], timeout=10)
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    parts = {part.get_filename(): part for part in accepted(product, to).walk()}
    assert parts["Grüße.pdf"].get_content() == content
    assert parts["logo.png"]["Content-ID"] == "<logo>"


def test_the_largest_mail_arrives_unchanged(product, post, somebody, large):
    commands = ["opensend.web", "-Q sending"]
    before = {each: peak_memory(product, each) for each in commands}
    to = somebody()
    post(to, large)

    (attached,) = accepted(product, to).iter_attachments()

    assert attached.get_content() == large
    # Measured: 6 to 9 times; in the request, as base64, in the mail, and as base64 of the mail.
    assert all(peak_memory(product, each) - before[each] < 12 * len(large) for each in commands)
