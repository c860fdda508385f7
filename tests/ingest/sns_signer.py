"""Plays the role of SNS: envelopes from tests/fixtures/sns, signed with our own key."""

import base64
import functools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ingest.sns import Rejected, SnsPolicy

FIXTURES = Path(__file__).parent.parent / "fixtures" / "sns"
KINDS = ("notification", "subscription_confirmation", "unsubscribe_confirmation")
TOPIC = "arn:aws:sns:us-east-1:123456789012:ses-events"
NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
POLICY = SnsPolicy(
    topic_arns=frozenset({TOPIC}), require_v2=False, max_age=timedelta(hours=2), cert_origin=None
)
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
SIGNED["UnsubscribeConfirmation"] = SIGNED["SubscriptionConfirmation"]


@functools.cache
def key(bits=2048):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def envelope(kind="notification", **changes):
    """A fixture with changed fields; None removes a field."""
    fields = json.loads((FIXTURES / f"{kind}.json").read_text()) | changes
    return {name: value for name, value in fields.items() if value is not None}


def signature(text, *, version="2"):
    algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}[version]
    signed = key().sign(text.encode(), padding.PKCS1v15(), algorithm)
    return base64.b64encode(signed).decode()


def signed(kind="notification", **changes):
    fields = envelope(kind, **changes)
    text = "".join(f"{n}\n{fields[n]}\n" for n in SIGNED[fields["Type"]] if n in fields)
    return fields | {"Signature": signature(text, version=fields["SignatureVersion"])}


def body(fields):
    return json.dumps(fields).encode()


def certificate(
    *,
    private_key=None,
    common_name="sns.amazonaws.com",
    alternative=None,
    since=NOW - timedelta(days=30),
    until=NOW + timedelta(days=30),
):
    """A self-signed certificate as PEM bytes."""
    private_key = private_key or key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )
    if alternative:
        names = x509.SubjectAlternativeName([x509.DNSName(alternative)])
        builder = builder.add_extension(names, critical=False)
    signed_certificate = builder.sign(private_key, hashes.SHA256())
    return signed_certificate.public_bytes(serialization.Encoding.PEM)


def rejection(check, *arguments, **named):
    """What the check of an SNS message raised."""
    with pytest.raises(Rejected) as caught:
        check(*arguments, **named)
    return caught.value
