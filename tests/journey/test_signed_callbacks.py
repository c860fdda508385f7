"""The product accepts SNS messages signed with the twin's key from run.json."""

import base64
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from tests.clients import wait_until

SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
DIGESTS = {"1": hashes.SHA1(), "2": hashes.SHA256()}


def envelope(facts, message, *, version):
    """A notification of the topic for events, signed like SNS does."""
    fields = {
        "Type": "Notification",
        "MessageId": str(uuid.uuid4()),
        "TopicArn": facts["sns_events_topic_arn"],
        "Subject": "Amazon SES Email Event Notification",
        "Message": json.dumps(message),
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "SignatureVersion": version,
        "SigningCertURL": facts["sns_signing"]["cert_url"],
    }
    text = "".join(f"{name}\n{fields[name]}\n" for name in SIGNED)
    pem = Path(facts["sns_signing"]["private_key_path"]).read_bytes()
    key = serialization.load_pem_private_key(pem, password=None)
    signature = key.sign(text.encode(), padding.PKCS1v15(), DIGESTS[version])
    return fields | {"Signature": base64.b64encode(signature).decode()}


def open_event(email_id, message_id):
    return {
        "eventType": "Open",
        "mail": {
            "timestamp": "2026-01-01T00:00:00.000Z",
            "messageId": message_id,
            "tags": {"opensend_email_id": [email_id]},
        },
        "open": {"timestamp": "2026-01-01T00:00:01.000Z", "ipAddress": "192.0.2.1"},
    }


def post(facts, path, fields):
    return requests.post(
        facts["base_url"] + path,
        data=json.dumps(fields),
        headers={
            "Content-Type": "text/plain; charset=UTF-8",
            "x-amz-sns-message-type": fields["Type"],
        },
        timeout=10,
    )


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("path", ["/events/ses", "/api/webhooks/ses"])
def test_a_message_signed_with_the_key_of_run_json_is_recorded_once(
    product, resend_client, mail, path, version
):
    email_id = resend_client.Emails.send(mail())["id"]
    signed = envelope(product.facts, open_event(email_id, "made-up"), version=version)
    for _ in range(2):
        answer = post(product.facts, path, signed)
        assert (answer.status_code, answer.text) == (200, "OK")

    def opened():
        events = product.get(f"/emails/{email_id}/events")["data"]
        return [each["type"] for each in events if each["type"] == "opened"]

    assert wait_until(opened, what="the open") == ["opened"]


def test_a_message_that_was_tampered_with_is_rejected(product):
    signed = envelope(product.facts, open_event(str(uuid.uuid4()), "x"), version="2")
    forged = signed | {"Message": signed["Message"].replace("Open", "Click")}
    assert post(product.facts, "/events/ses", forged).status_code == 403
