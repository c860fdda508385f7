"""All SNS checks together: genuine messages pass, and rejected ones cause no needless fetch."""

import dataclasses
import functools
from datetime import timedelta

import pytest

from ingest.sns import CertificateStore, verify_message
from tests.ingest.sns_server import running_server
from tests.ingest.sns_signer import (
    KINDS,
    NOW,
    POLICY,
    TOPIC,
    body,
    certificate,
    envelope,
    rejection,
    signed,
)

PATH = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"


@pytest.fixture
def server():
    with running_server() as server:
        server.responses[PATH] = certificate()
        yield server


@pytest.fixture
def verify(server):
    policy = dataclasses.replace(POLICY, cert_origin=server.origin)
    return functools.partial(_verify, policy=policy, certificates=CertificateStore(), now=NOW)


def _verify(fields, header_type=None, *, changes=None, **arguments):
    arguments["policy"] = dataclasses.replace(arguments["policy"], **(changes or {}))
    return verify_message(body(fields), header_type, **arguments)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_genuine_message_is_returned(verify, kind, version):
    fields = signed(kind, SignatureVersion=version)

    message = verify(fields, fields["Type"])

    assert message.message_id == fields["MessageId"]
    assert message.message == fields["Message"]


@pytest.mark.parametrize(
    ("fields", "header", "status"),
    [
        (envelope(MessageId="x"), None, 400),
        (envelope(), "SubscriptionConfirmation", 400),
        (envelope(TopicArn=TOPIC + "2"), None, 403),
        (envelope(TopicArn=TOPIC.replace("us-east-1", "eu-west-1")), None, 403),
        (envelope(SigningCertURL="https://evil.example" + PATH), None, 400),
        (envelope(SigningCertURL="http://127.0.0.1:1" + PATH), None, 400),
        (envelope(SignatureVersion="3"), None, 403),
    ],
)
def test_nothing_is_fetched_for_messages_that_fail_earlier_checks(
    verify, server, fields, header, status
):
    assert rejection(verify, fields, header).status == status
    assert not server.requests


def test_without_topics_everything_is_rejected_and_nothing_fetched(verify, server):
    assert rejection(verify, signed(), changes={"topic_arns": frozenset()}).status == 403
    assert not server.requests


def test_the_topic_is_checked_before_the_certificate_url(verify):
    fields = envelope(TopicArn=TOPIC + "2", SigningCertURL="https://evil.example/x.pem")

    assert rejection(verify, fields).name == "topic_not_allowed"


def test_a_topic_in_another_region_passes_if_it_is_listed(verify, server):
    topic = TOPIC.replace("us-east-1", "eu-west-1")
    cert = f"https://sns.eu-west-1.amazonaws.com{PATH}"
    fields = signed(TopicArn=topic, SigningCertURL=cert)
    listed = {"topic_arns": frozenset({TOPIC, topic})}

    assert verify(fields, changes=listed).topic_arn == topic
    assert rejection(verify, signed(TopicArn=topic), changes=listed).status == 400


def test_version_1_can_be_rejected(verify):
    fields = signed(SignatureVersion="1")

    assert rejection(verify, fields, changes={"require_v2": True}).status == 403
    assert verify(signed(), changes={"require_v2": True}).signature_version == "2"


def test_relabelling_does_not_bypass_the_required_version(verify):
    fields = signed(SignatureVersion="1") | {"SignatureVersion": "2"}

    assert rejection(verify, fields, changes={"require_v2": True}).status == 403


def test_a_forged_signature_is_a_403(verify):
    assert rejection(verify, signed() | {"Message": "forged"}).name == "invalid_signature"


def test_a_message_without_a_signature_is_rejected(verify):
    assert rejection(verify, envelope()).status == 403
    assert rejection(verify, envelope(Signature=None)).status == 400


def test_an_old_replay_is_rejected(verify):
    fields = signed()

    assert rejection(verify, fields, now=NOW + timedelta(hours=2)).name == "timestamp_out_of_range"
    fresher = fields | {"Timestamp": "2026-03-01T13:59:00.000Z"}
    assert rejection(verify, fresher, now=NOW + timedelta(hours=2)).name == "invalid_signature"


def test_an_unavailable_certificate_is_a_503_and_fetched_again_later(verify, server):
    served = server.responses.pop(PATH)

    assert rejection(verify, signed()).status == 503
    server.responses[PATH] = served

    assert verify(signed()).type == "Notification"


def test_the_subscribe_url_is_never_fetched(verify, server):
    fields = signed("subscription_confirmation", SubscribeURL=f"{server.origin}/subscribe")

    verify(fields)

    assert set(server.requests) == {PATH}
