"""The whole verdict on one POST, in the order that costs and risks least."""

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
    """The message, once it is known to be genuine, ours and fresh. Raises Rejected.

    Nothing is fetched until the topic and the certificate's URL have passed. Age comes last,
    so that "too old" is only ever said of a genuine message. `now` is an aware datetime.
    """
    message = parse(body, header_type=header_type)
    check_topic(message, policy)
    url = check_certificate_url(message)
    check_signature_version(message, policy)
    verify(message, certificates.public_key(url, origin=policy.cert_origin, now=now))
    check_age(message, policy, now)
    return message
