"""The checks that need nothing but the message and the policy."""

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
    """A certificate URL of Amazon's own form: `url` in full, its `path`, its AWS `region`."""

    url: str
    path: str
    region: str


def check_topic(message: SnsMessage, policy: SnsPolicy) -> None:
    """Any AWS account can have SNS sign messages of its own topics. Raises Rejected 403."""
    if message.topic_arn not in policy.topic_arns:
        raise Rejected(403, "topic_not_allowed", "This SNS topic is not one of ours.")


def check_certificate_url(message: SnsMessage) -> CertificateUrl:
    """The URL that the certificate may be fetched from. Raises Rejected 400.

    The raw string is matched in full before any URL parser sees it: parsers silently drop tabs,
    line breaks, user names, empty ports and trailing `?` or `#`. Host and path are pinned, for
    `sns.s3-<region>.amazonaws.com` is a bucket that anybody may own, and the SNS API itself
    answers queries with text of the caller's choice.
    """
    arn = _TOPIC_ARN.fullmatch(message.topic_arn)
    url = message.signing_cert_url
    if arn is not None and len(url) <= _MAX_URL_LENGTH:
        found = _URLS[arn["partition"]].fullmatch(url)
        if found is not None and found["region"] == arn["region"]:
            return CertificateUrl(url=url, path=found["path"], region=found["region"])
    raise Rejected(
        400,
        "invalid_certificate_url",
        "SigningCertURL is not the address of an SNS certificate in the topic's region.",
    )


def check_signature_version(message: SnsMessage, policy: SnsPolicy) -> None:
    """Raises Rejected 403 for a version that is unknown, or that the policy refuses."""
    if message.signature_version not in ("1", "2"):
        raise Rejected(403, "signature_version_not_allowed", "SignatureVersion is unknown.")
    if policy.require_v2 and message.signature_version == "1":
        raise Rejected(
            403,
            "signature_version_not_allowed",
            "SignatureVersion 1 (SHA1) is refused here. Set the topic's SignatureVersion to 2.",
        )


def check_age(message: SnsMessage, policy: SnsPolicy, now: datetime) -> None:
    """A signature never expires, so the signed time bounds a replay. Raises Rejected 403.

    SNS keeps Timestamp unchanged when it retries, and retries over HTTP for one hour at most
    (AWS, "Amazon SNS message delivery retries"). `now` is an aware datetime.
    """
    published = _published_at(message.timestamp)
    if published is None:
        raise _out_of_range("Timestamp is not a time in UTC.")
    if published - now > MAX_CLOCK_SKEW:
        raise _out_of_range("Timestamp lies in the future.")
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
