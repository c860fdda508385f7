"""The checks that need only the message and the policy: no network, no certificate."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest.sns.messages import SnsMessage
from ingest.sns.policy import Rejected, SnsPolicy

MAX_CLOCK_SKEW = timedelta(minutes=5)

_MAX_URL_LENGTH = 200
_TOPIC_ARN = re.compile(
    r"arn:(?P<partition>aws|aws-cn|aws-us-gov):sns:(?P<region>[a-z0-9-]+)"
    r":[0-9]{12}:[A-Za-z0-9_-]{1,256}"
)
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")


@dataclass(frozen=True, slots=True)
class CertificateUrl:
    """An SNS certificate URL in the form that Amazon uses, with its path and AWS region."""

    url: str
    path: str
    region: str


def is_topic_arn(text: str) -> bool:
    """Whether this is the ARN of a standard topic: SES cannot publish to FIFO topics."""
    return _TOPIC_ARN.fullmatch(text) is not None


def check_topic(message: SnsMessage, policy: SnsPolicy) -> None:
    """SNS signs messages for every AWS account, so only listed topics pass. Raises Rejected 403."""
    if message.topic_arn not in policy.topic_arns:
        raise Rejected(403, "topic_not_allowed", "This SNS topic is not an allowed topic.")


def check_certificate_url(message: SnsMessage) -> CertificateUrl:
    """The URL from which the certificate may be fetched. Raises Rejected 400.

    The raw string must match in full before any URL parser sees it: parsers silently drop tabs,
    line breaks, user names, empty ports and a trailing `?` or `#`. Host and path are pinned,
    because `sns.s3-<region>.amazonaws.com` is a bucket that anyone can own, and the SNS API
    itself returns text that the caller chooses.
    """
    arn = _TOPIC_ARN.fullmatch(message.topic_arn)
    url = message.signing_cert_url
    if arn is not None and len(url) <= _MAX_URL_LENGTH:
        match = _URLS[arn["partition"]].fullmatch(url)
        if match is not None and match["region"] == arn["region"]:
            return CertificateUrl(url=url, path=match["path"], region=match["region"])
    raise Rejected(
        400,
        "invalid_certificate_url",
        "SigningCertURL is not the URL of an SNS certificate in the topic's region.",
    )


def check_signature_version(message: SnsMessage, policy: SnsPolicy) -> None:
    """Raises Rejected 403 for an unknown version, or one that the policy rejects."""
    if message.signature_version not in ("1", "2"):
        raise Rejected(403, "signature_version_not_allowed", "SignatureVersion is unknown.")
    if policy.require_v2 and message.signature_version == "1":
        raise Rejected(
            403,
            "signature_version_not_allowed",
            "SignatureVersion 1 (SHA1) is rejected. Set the topic's SignatureVersion to 2.",
        )


def check_age(message: SnsMessage, policy: SnsPolicy, now: datetime) -> None:
    """Limits replays by the signed time, because signatures never expire. Raises Rejected 403.

    SNS keeps Timestamp unchanged in retries and retries over HTTP for at most one hour
    (AWS, "Amazon SNS message delivery retries"). `now` is an aware datetime.
    """
    published = _published_at(message.timestamp)
    if published is None:
        raise _out_of_range("Timestamp is not a valid UTC time.")
    if published - now > MAX_CLOCK_SKEW:
        raise _out_of_range("Timestamp is in the future.")
    if now - published > policy.max_age:
        raise _out_of_range("Timestamp is too old.")


def _partition_urls(region: str, domain: str) -> re.Pattern[str]:
    return re.compile(
        rf"https://sns\.(?P<region>{region})\.{re.escape(domain)}"
        r"(?P<path>/SimpleNotificationService-[0-9a-f]{32}\.pem)"
    )


_URLS = {
    "aws": _partition_urls(
        r"(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]{1,2}", domain="amazonaws.com"
    ),
    "aws-us-gov": _partition_urls(r"us-gov-[a-z]+-[0-9]{1,2}", domain="amazonaws.com"),
    "aws-cn": _partition_urls(r"cn-[a-z]+-[0-9]{1,2}", domain="amazonaws.com.cn"),
}


def _published_at(timestamp: str) -> datetime | None:
    if not _TIMESTAMP.fullmatch(timestamp):
        return None
    try:
        return datetime.fromisoformat(timestamp[:-1]).replace(tzinfo=UTC)
    except ValueError:  # 30 February
        return None


def _out_of_range(message: str) -> Rejected:
    return Rejected(403, "timestamp_out_of_range", message)
