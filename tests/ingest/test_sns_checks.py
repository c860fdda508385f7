"""Topic, certificate URL, version and age: checks that need no network."""

import dataclasses
from datetime import timedelta

import pytest

from ingest.sns import (
    SnsPolicy,
    check_age,
    check_certificate_url,
    check_signature_version,
    check_topic,
    parse,
)
from ingest.sns.checks import is_topic_arn
from tests.ingest.sns_signer import NOW, POLICY, TOPIC, body, envelope, rejection

NAME = "SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
HOST = "sns.us-east-1.amazonaws.com"
GOOD = f"https://{HOST}/{NAME}"


def message(**changes):
    """A message with unparsed fields, so that each check is tested on its own."""
    plain = parse(body(envelope()), header_type=None)
    return dataclasses.replace(plain, **changes)


def arn(region="us-east-1", partition="aws", name="ses-events"):
    return f"arn:{partition}:sns:{region}:123456789012:{name}"


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_arn_of_a_standard_topic_is_recognised(partition):
    assert is_topic_arn(arn(partition=partition))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "opensend-events",
        arn(name="events.fifo"),
        arn() + ":3f0ee9ae-6a5c-4f3d-9d4b-2f1f7e0c6b1a",  # a subscription
        arn() + "\n",
        arn().replace("123456789012", "1234"),
        arn().replace(":sns:", ":sqs:"),
        arn(partition="gcp"),
    ],
)
def test_anything_else_is_no_arn_of_a_standard_topic(text):
    assert not is_topic_arn(text)


def test_a_listed_topic_passes():
    check_topic(message(), POLICY)


@pytest.mark.parametrize(
    "topic",
    [
        arn().replace("123456789012", "210987654321"),
        arn("us-east-2"),
        arn(name="ses-events2"),
        arn().upper(),
        arn() + " ",
        "",
    ],
)
def test_any_other_topic_is_a_403(topic):
    rejected = rejection(check_topic, message(topic_arn=topic), POLICY)

    assert (rejected.status, rejected.name) == (403, "topic_not_allowed")


def test_without_topics_everything_is_a_403():
    policy = dataclasses.replace(POLICY, topic_arns=frozenset())

    assert rejection(check_topic, message(), policy).status == 403


@pytest.mark.parametrize(
    ("partition", "region", "domain"),
    [
        ("aws", "us-east-1", "amazonaws.com"),
        ("aws", "us-west-2", "amazonaws.com"),
        ("aws", "eu-central-2", "amazonaws.com"),
        ("aws", "ap-southeast-5", "amazonaws.com"),
        ("aws", "sa-east-1", "amazonaws.com"),
        ("aws", "ca-west-1", "amazonaws.com"),
        ("aws", "me-central-1", "amazonaws.com"),
        ("aws", "af-south-1", "amazonaws.com"),
        ("aws", "il-central-1", "amazonaws.com"),
        ("aws", "mx-central-1", "amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
        ("aws-us-gov", "us-gov-east-1", "amazonaws.com"),
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
        ("aws-cn", "cn-northwest-1", "amazonaws.com.cn"),
    ],
)
def test_the_url_of_each_partition_passes(partition, region, domain):
    url = f"https://sns.{region}.{domain}/{NAME}"

    result = check_certificate_url(message(topic_arn=arn(region, partition), signing_cert_url=url))

    assert (result.url, result.path, result.region) == (url, f"/{NAME}", region)


REJECTED = [
    "",
    "/" + NAME,
    f"//{HOST}/{NAME}",
    # scheme
    GOOD.replace("https", "http"),
    GOOD.replace("https", "HTTPS"),
    GOOD.replace("https", "ftp"),
    GOOD.replace("https://", "https:"),
    GOOD.replace("https://", "https:/"),
    GOOD.replace("https://", "https:///"),
    GOOD.replace("https://", "https:\\\\"),
    "file:///etc/passwd",
    f"javascript:{GOOD}",
    # host
    GOOD.replace(HOST, "evil.example"),
    GOOD.replace(HOST, "sns.amazonaws.com"),
    GOOD.replace(HOST, "s3.amazonaws.com"),
    GOOD.replace(HOST, "sns.s3.amazonaws.com"),
    GOOD.replace(HOST, "sns.s3-us-west-2.amazonaws.com"),
    GOOD.replace(HOST, "sns.s3-ap-southeast-2.amazonaws.com"),
    GOOD.replace(HOST, "sns.s3.us-east-1.amazonaws.com"),
    GOOD.replace(HOST, "bucket.s3.us-east-1.amazonaws.com"),
    GOOD.replace(HOST, "sns.elb.us-east-1.amazonaws.com"),
    GOOD.replace(HOST, "sns.us-east-1.elb.amazonaws.com"),
    GOOD.replace(HOST, "sqs.us-east-1.amazonaws.com"),
    GOOD.replace(HOST, "xsns.us-east-1.amazonaws.com"),
    GOOD.replace(HOST, "evil.sns.us-east-1.amazonaws.com"),
    GOOD.replace(HOST, "sns-us-east-1.amazonaws.com"),
    GOOD.replace(HOST, "snsxus-east-1.amazonaws.com"),
    GOOD.replace(HOST, "sns.us-east-1xamazonaws.com"),
    GOOD.replace(HOST, "sns.us-east-1.amazonawsxcom"),
    GOOD.replace(HOST, "SNS.us-east-1.amazonaws.com"),
    GOOD.replace(HOST, HOST.upper()),
    GOOD.replace(HOST, HOST + "."),
    GOOD.replace(HOST, HOST + ".evil.example"),
    GOOD.replace(HOST, "sns.us-east-1.amazonaws.com.evil.cn"),
    GOOD.replace(HOST, "sns.us-east-1.amazonaws.co"),
    GOOD.replace(HOST, "sns.us-east-1.amazonaws.com.cn"),
    GOOD.replace(HOST, "sns.us-east-1.evil-amazonaws.com"),
    GOOD.replace(HOST, "sns..us-east-1.amazonaws.com"),
    GOOD.replace(HOST, "127.0.0.1"),
    GOOD.replace(HOST, "[::1]"),
    GOOD.replace(HOST, "169.254.169.254"),
    # region
    GOOD.replace("us-east-1", "us-east-2"),
    GOOD.replace("us-east-1", "eu-west-1"),
    GOOD.replace("us-east-1", "us-east-1a"),
    GOOD.replace("us-east-1", "us-east-01"),
    GOOD.replace("us-east-1", "us-east"),
    GOOD.replace("us-east-1", "us-gov-west-1"),
    GOOD.replace("us-east-1", "xx-east-1"),
    # credentials, port, query, fragment
    GOOD.replace(HOST, f"user@{HOST}"),
    GOOD.replace(HOST, f"user:secret@{HOST}"),
    GOOD.replace(HOST, f"{HOST}@evil.example"),
    GOOD.replace(HOST, f"evil.example#@{HOST}"),
    GOOD.replace(HOST, f"evil.example\\@{HOST}"),
    GOOD.replace(HOST, f"evil.example/{HOST}"),
    GOOD.replace(HOST, HOST + ":"),
    GOOD.replace(HOST, HOST + ":443"),
    GOOD.replace(HOST, HOST + ":8443"),
    GOOD + "?",
    GOOD + "?a=.pem",
    GOOD + "#",
    GOOD + "#.pem",
    GOOD + ";",
    GOOD + "/",
    f"https://{HOST}/?Action=ListTagsForResource&x=.pem",
    f"https://{HOST}?/{NAME}",
    f"https://{HOST}#/{NAME}",
    # path
    f"https://{HOST}/",
    f"https://{HOST}/x.pem",
    f"https://{HOST}//{NAME}",
    f"https://{HOST}/a/{NAME}",
    f"https://{HOST}/../{NAME}",
    f"https://{HOST}/./{NAME}",
    f"https://{HOST}\\{NAME}",
    f"https://{HOST}/%2e/{NAME}",
    GOOD.replace("Simple", "simple"),
    GOOD.replace("Simple", "%53imple"),
    GOOD.replace("-0123", "0123"),
    GOOD.replace("0123456789abcdef.pem", "0123456789abcde.pem"),
    GOOD.replace("0123456789abcdef.pem", "0123456789abcdef0.pem"),
    GOOD.replace("abcdef", "ABCDEF"),
    GOOD.replace("abcdef", "abcdeg"),
    GOOD.replace("-0123", "-\u0660123"),
    GOOD.replace(".pem", ".PEM"),
    GOOD.replace(".pem", "xpem"),
    GOOD.replace(".pem", ".key"),
    GOOD.replace(".pem", ""),
    GOOD.replace(".pem", ".pem.pem"),
    GOOD.replace(".pem", ".pem%00"),
    # characters that parsers drop or fold
    " " + GOOD,
    GOOD + " ",
    GOOD + "\n",
    GOOD + "\r\n",
    "\n" + GOOD,
    "\t" + GOOD,
    GOOD + "\x00",
    GOOD.replace("sns.", "sn\ts."),
    GOOD.replace("sns.", "sn\ns."),
    GOOD.replace(HOST, HOST.replace(".", "\u3002")),
    GOOD.replace(HOST, HOST.replace(".", "\uff0e")),
    GOOD.replace("sns.", "\uff53ns."),
    GOOD.replace("amazonaws", "am\u0430zonaws"),
    GOOD.replace("us-east-1", "us-east-\u0661"),
    GOOD.replace("us-east-1", "us\u2010east\u20101"),
    "\ufeff" + GOOD,
    GOOD.replace("sns.", "sns.\u200b"),
    GOOD.replace("us-east-1", "us-" + "e" * 200 + "-1"),
]


def test_there_are_at_least_60_distinct_bad_urls():
    assert len(set(REJECTED)) == len(REJECTED) >= 60
    assert GOOD not in REJECTED


@pytest.mark.parametrize("url", REJECTED)
def test_any_other_url_is_a_400(url):
    rejected = rejection(check_certificate_url, message(signing_cert_url=url))

    assert (rejected.status, rejected.name) == (400, "invalid_certificate_url")


@pytest.mark.parametrize(
    ("topic", "region", "domain"),
    [
        # another topic's region, and regions in the wrong partition or domain
        (arn("eu-west-1"), "us-east-1", "amazonaws.com"),
        (arn("cn-north-1"), "cn-north-1", "amazonaws.com"),
        (arn("cn-north-1"), "cn-north-1", "amazonaws.com.cn"),
        (arn("cn-north-1", "aws-cn"), "cn-north-1", "amazonaws.com"),
        (arn("cn-north-1", "aws-cn"), "cn-northwest-1", "amazonaws.com.cn"),
        (arn("us-east-1", "aws-cn"), "us-east-1", "amazonaws.com.cn"),
        (arn("us-gov-west-1"), "us-gov-west-1", "amazonaws.com"),
        (arn("us-gov-west-1", "aws-us-gov"), "us-gov-east-1", "amazonaws.com"),
        (arn("us-gov-west-1", "aws-us-gov"), "us-gov-west-1", "amazonaws.com.cn"),
        (arn("us-east-1", "aws-us-gov"), "us-east-1", "amazonaws.com"),
        (arn("us-east-1", "aws-iso"), "us-east-1", "amazonaws.com"),
        (arn("s3-us-west-2"), "s3-us-west-2", "amazonaws.com"),
        (arn("s3"), "s3", "amazonaws.com"),
        (arn("eu-gov-west-1"), "eu-gov-west-1", "amazonaws.com"),
        (arn(f"us-{'e' * 200}-1"), f"us-{'e' * 200}-1", "amazonaws.com"),
        ("us-east-1", "us-east-1", "amazonaws.com"),
        (arn() + "\n", "us-east-1", "amazonaws.com"),
        (arn().replace("sns", "sqs"), "us-east-1", "amazonaws.com"),
    ],
)
def test_region_partition_and_domain_must_match(topic, region, domain):
    url = f"https://sns.{region}.{domain}/{NAME}"
    odd = message(topic_arn=topic, signing_cert_url=url)

    assert rejection(check_certificate_url, odd).status == 400


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_pass_by_default(version):
    check_signature_version(message(signature_version=version), POLICY)


@pytest.mark.parametrize("version", ["", "0", "3", "1 ", "01", "\u0661", "\u00b9"])
def test_no_other_version_passes(version):
    assert (
        rejection(check_signature_version, message(signature_version=version), POLICY).status == 403
    )


def test_version_1_is_rejected_if_version_2_is_required():
    strict = dataclasses.replace(POLICY, require_v2=True)

    check_signature_version(message(signature_version="2"), strict)
    rejected = rejection(check_signature_version, message(signature_version="1"), strict)
    assert rejected.status == 403
    assert "SignatureVersion" in rejected.message


def stamped(moment):
    return message(timestamp=moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")


@pytest.mark.parametrize(
    "age", [timedelta(0), timedelta(hours=2), timedelta(minutes=-5), timedelta(seconds=1)]
)
def test_a_fresh_message_passes(age):
    check_age(stamped(NOW - age), POLICY, NOW)


@pytest.mark.parametrize(
    "age",
    [
        timedelta(hours=2, milliseconds=1),
        timedelta(days=400),
        timedelta(minutes=-5, milliseconds=-1),
        timedelta(days=-1),
    ],
)
def test_old_and_future_messages_are_a_403(age):
    rejected = rejection(check_age, stamped(NOW - age), POLICY, NOW)

    assert (rejected.status, rejected.name) == (403, "timestamp_out_of_range")


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00.1Z"])
def test_other_precisions_are_parsed(text):
    check_age(message(timestamp=text), POLICY, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-03-01",
        "2026-03-01T12:00:00.123",
        "2026-03-01T12:00:00.123+00:00",
        "2026-03-01T12:00:00.123+02:00Z",
        "2026-03-01 12:00:00.123Z",
        "2026-02-30T12:00:00.000Z",
        "2026-13-01T12:00:00.000Z",
        "2026-03-01T24:00:01.000Z",
        "2026-03-01T12:00:00.123z",
        " 2026-03-01T12:00:00.123Z",
        "2026-03-01T12:00:00.123Z\n",
        "2026-03-01T12:00:0\u0660.123Z",
        "20260301T120000Z",
        "1772366400",
        "0000-01-01T00:00:00.000Z",
    ],
)
def test_an_invalid_utc_time_is_a_403(text):
    assert rejection(check_age, message(timestamp=text), POLICY, NOW).status == 403


def test_the_age_can_be_unlimited_for_a_dead_letter_queue():
    patient = dataclasses.replace(POLICY, max_age=timedelta.max)

    check_age(message(timestamp="2001-01-01T00:00:00.000Z"), patient, NOW)


@pytest.mark.parametrize(
    "origin",
    [None, "http://127.0.0.1:4577", "http://localhost:80", "http://[::1]:9", "http://127.0.0.1"],
)
def test_a_loopback_certificate_origin_is_allowed(origin):
    assert dataclasses.replace(POLICY, cert_origin=origin).cert_origin == origin


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "http://evil.example",
        "https://sns.us-east-1.amazonaws.com",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://localhost.evil.example",
        "http://10.0.0.1:4577",
        "http://127.0.0.1:4577/",
        "http://127.0.0.1:4577\n",
        "file:///tmp",
    ],
)
def test_any_other_certificate_origin_raises(origin):
    with pytest.raises(ValueError, match="loopback"):
        SnsPolicy(
            topic_arns=frozenset({TOPIC}),
            require_v2=False,
            max_age=timedelta(hours=2),
            cert_origin=origin,
        )
