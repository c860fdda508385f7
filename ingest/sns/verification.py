"""Runs all checks on one POST, the cheapest and least risky first."""

from datetime import datetime

from ingest.sns.certificates import CertificateStore
from ingest.sns.checks import (
    check_age,
    check_certificate_url,
    check_signature_version,
    check_topic,
)
from ingest.sns.messages import SnsMessage, parse
from ingest.sns.policy import SnsPolicy
from ingest.sns.signatures import verify


def verify_message(
    body: bytes,
    header_type: str | None,
    *,
    policy: SnsPolicy,
    certificates: CertificateStore,
    now: datetime,
) -> SnsMessage:
    """Return the message if it is genuine, fresh and from our topic. Raises Rejected.

    Nothing is fetched before the topic and the certificate URL have passed. Age is checked last,
    so "too old" is only reported for genuine messages. `now` is an aware datetime.
    """
    message = parse(body, header_type=header_type)
    check_topic(message, policy)
    url = check_certificate_url(message)
    check_signature_version(message, policy)
    verify(message, certificates.public_key(url, origin=policy.cert_origin, now=now))
    check_age(message, policy, now)
    return message
