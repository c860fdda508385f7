"""Verifies that a POST comes from one of our Amazon SNS topics. No Django, no database."""

from ingest.sns.certificates import CertificateStore, SharedCache
from ingest.sns.checks import (
    CertificateUrl,
    check_age,
    check_certificate_url,
    check_signature_version,
    check_topic,
)
from ingest.sns.messages import (
    NOTIFICATION,
    SUBSCRIPTION_CONFIRMATION,
    UNSUBSCRIBE_CONFIRMATION,
    SnsMessage,
    is_control,
    parse,
)
from ingest.sns.policy import Rejected, SnsPolicy
from ingest.sns.signatures import canonical_string, verify
from ingest.sns.verification import verify_message

__all__ = [
    "NOTIFICATION",
    "SUBSCRIPTION_CONFIRMATION",
    "UNSUBSCRIBE_CONFIRMATION",
    "CertificateStore",
    "CertificateUrl",
    "Rejected",
    "SharedCache",
    "SnsMessage",
    "SnsPolicy",
    "canonical_string",
    "check_age",
    "check_certificate_url",
    "check_signature_version",
    "check_topic",
    "is_control",
    "parse",
    "verify",
    "verify_message",
]
