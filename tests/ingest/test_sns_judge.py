"""The whole verdict: genuine messages pass, and nothing is fetched for the others."""

import dataclasses
import functools
from datetime import timedelta

import pytest
from sns_server import running_server
from sns_signer import KINDS, NOW, POLICY, TOPIC, body, certificate, envelope, signed

from ingest.sns import CertificateStore, Rejected, verify_message

PATH = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"


@pytest.fixture
def server():
    with running_server() as server:
        server.answers[PATH] = certificate()
        yield server


@pytest.fixture
def verdict(server):
    policy = dataclasses.replace(POLICY, cert_origin=server.origin)
    return functools.partial(_judge, policy=policy, certificates=CertificateStore(), now=NOW)


def _judge(fields, header_type=None, *, changes=None, **arguments):
    arguments["policy"] = dataclasses.replace(arguments["policy"], **(changes or {}))
    return verify_message(body(fields), header_type, **arguments)


def refusal(verdict, fields, header_type=None, **arguments):
    with pytest.raises(Rejected) as caught:
        verdict(fields, header_type, **arguments)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_genuine_message_is_returned(verdict, kind, version):
    fields = signed(kind, SignatureVersion=version)

    message = verdict(fields, fields["Type"])

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
def test_nothing_is_fetched_for_what_is_refused_anyhow(verdict, server, fields, header, status):
    assert refusal(verdict, fields, header).status == status
    assert not server.asked


def test_without_topics_nothing_is_taken_and_nothing_fetched(verdict, server):
    assert refusal(verdict, signed(), changes={"topic_arns": frozenset()}).status == 403
    assert not server.asked


def test_a_foreign_topic_is_named_before_a_foreign_url(verdict):
    fields = envelope(TopicArn=TOPIC + "2", SigningCertURL="https://evil.example/x.pem")

    assert refusal(verdict, fields).name == "topic_not_allowed"


def test_a_topic_of_another_region_is_ours_when_it_is_listed(verdict, server):
    topic = TOPIC.replace("us-east-1", "eu-west-1")
    cert = f"https://sns.eu-west-1.amazonaws.com{PATH}"
    fields = signed(TopicArn=topic, SigningCertURL=cert)
    listed = {"topic_arns": frozenset({TOPIC, topic})}

    assert verdict(fields, changes=listed).topic_arn == topic
    assert refusal(verdict, signed(TopicArn=topic), changes=listed).status == 400


def test_version_1_can_be_refused(verdict):
    fields = signed(SignatureVersion="1")

    assert refusal(verdict, fields, changes={"require_v2": True}).status == 403
    assert verdict(signed(), changes={"require_v2": True}).signature_version == "2"


def test_relabelling_does_not_get_round_the_required_version(verdict):
    fields = signed(SignatureVersion="1") | {"SignatureVersion": "2"}

    assert refusal(verdict, fields, changes={"require_v2": True}).status == 403


def test_a_forged_signature_is_a_403(verdict):
    assert refusal(verdict, signed() | {"Message": "forged"}).name == "invalid_signature"


def test_a_message_without_signature_is_not_taken(verdict):
    assert refusal(verdict, envelope()).status == 403
    assert refusal(verdict, envelope(Signature=None)).status == 400


def test_a_replay_is_refused_when_it_is_too_old(verdict):
    fields = signed()

    assert refusal(verdict, fields, now=NOW + timedelta(hours=2)).name == "timestamp_out_of_range"
    fresher = fields | {"Timestamp": "2026-03-01T13:59:00.000Z"}
    assert refusal(verdict, fresher, now=NOW + timedelta(hours=2)).name == "invalid_signature"


def test_a_certificate_that_cannot_be_had_is_a_503_and_later_tried_again(verdict, server):
    served = server.answers.pop(PATH)

    assert refusal(verdict, signed()).status == 503
    server.answers[PATH] = served

    assert verdict(signed()).type == "Notification"


def test_the_subscribe_url_is_never_asked(verdict, server):
    fields = signed("subscription_confirmation", SubscribeURL=f"{server.origin}/subscribe")

    verdict(fields)

    assert set(server.asked) == {PATH}
