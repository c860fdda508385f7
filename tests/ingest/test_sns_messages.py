"""Parsing SNS messages, and telling control messages from events."""

import json

import pytest

from ingest.sns import is_control, parse
from tests.ingest.sns_signer import FIXTURES, KINDS, body, envelope, rejection

REQUIRED = (
    "MessageId",
    "TopicArn",
    "Message",
    "Timestamp",
    "SignatureVersion",
    "Signature",
    "SigningCertURL",
)
CONTROL = ["\n", "\r", "\t", "\x00", "\x1f", "\x7f", "\x85", "\x9f"]


def refusal(raw, header_type=None):
    return rejection(parse, raw, header_type=header_type)


def text_message(text, kind="notification"):
    return parse(body(envelope(kind, Message=text)), header_type=None)


def test_a_notification_has_the_fields_that_verification_needs():
    fields = envelope()

    message = parse(body(fields), header_type="Notification")

    assert message.type == "Notification"
    assert message.message_id == fields["MessageId"]
    assert message.topic_arn == fields["TopicArn"]
    assert message.message == fields["Message"]
    assert message.timestamp == fields["Timestamp"]
    assert message.signature_version == "2"
    assert message.signing_cert_url == fields["SigningCertURL"]
    assert message.subject == fields["Subject"]
    assert (message.token, message.subscribe_url) == (None, None)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_confirmation_has_a_token_and_url(kind):
    fields = envelope(kind)

    message = parse(body(fields), header_type=fields["Type"])

    assert message.token == fields["Token"]
    assert message.subscribe_url == fields["SubscribeURL"]


def test_a_missing_subject_differs_from_an_empty_one():
    assert parse(body(envelope(Subject=None)), header_type=None).subject is None
    assert parse(body(envelope(Subject="")), header_type=None).subject == ""


def test_the_body_is_limited_to_512_kib():
    raw = body(envelope())
    full = raw + b" " * (512 * 1024 - len(raw))

    assert parse(full, header_type=None).type == "Notification"
    rejected = refusal(full + b" ")
    assert (rejected.status, rejected.name) == (413, "payload_too_large")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"{",
        b"null",
        b"[]",
        b'"Notification"',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"Type": NaN}',
        body(envelope()) + b"{}",
        body(envelope(Message="\ud800")),
        b"Successfully validated SNS topic for Amazon SES event publishing.",
    ],
    ids=lambda raw: repr(raw[:16]),
)
def test_anything_but_a_json_object_is_a_400(raw):
    assert refusal(raw).status == 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*REQUIRED, "Type"])
@pytest.mark.parametrize("value", [None, 1, True, [], {}, ["a"]], ids=repr)
def test_every_required_field_must_be_a_string(kind, name, value):
    assert refusal(body(envelope(kind, **{name: value}))).status == 400


@pytest.mark.parametrize("name", REQUIRED)
def test_null_fields_are_rejected(name):
    assert refusal(json.dumps(envelope() | {name: None}).encode()).status == 400


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("name", ["Token", "SubscribeURL"])
@pytest.mark.parametrize("value", [None, 7, "a\nb"])
def test_a_confirmation_needs_its_token_and_url(kind, name, value):
    assert refusal(body(envelope(kind, **{name: value}))).status == 400


@pytest.mark.parametrize("value", [1, [], {"a": 1}, "two\nlines"])
def test_a_subject_must_be_one_line_of_text(value):
    assert refusal(body(envelope(Subject=value))).status == 400


def test_a_null_subject_is_rejected():
    assert refusal(json.dumps(envelope() | {"Subject": None}).encode()).status == 400


@pytest.mark.parametrize("name", [*(n for n in REQUIRED if n != "Message"), "Subject"])
@pytest.mark.parametrize("character", CONTROL, ids=repr)
def test_control_characters_are_rejected_outside_message(name, character):
    value = envelope()[name]

    for forged in (value + character, character + value, value[:4] + character + value[4:]):
        assert refusal(body(envelope(**{name: forged}))).status == 400


def test_message_may_contain_control_characters():
    assert text_message("a\nb\x00\x7f\n").message == "a\nb\x00\x7f\n"


def test_a_subject_may_contain_unusual_spaces_and_emoji():
    subject = "1\u00a0000 \u2192 \u200b\U0001f600"

    assert parse(body(envelope(Subject=subject)), header_type=None).subject == subject


@pytest.mark.parametrize(
    "message_id",
    [
        "",
        "22b80b92fdea4c2c8f9dbdfb0c7bf324",
        "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf32",
        "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf3244",
        "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf32g",
        "{22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324}",
        "urn:uuid:22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        " 22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324 ",
        "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\n",
        "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\nSubject\nAmazon SES",
        "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf32\u0664",
        "22b80b92\u2010fdea-4c2c-8f9d-bdfb0c7bf324",
    ],
)
def test_a_message_id_must_be_a_canonical_uuid(message_id):
    assert refusal(body(envelope(MessageId=message_id))).status == 400


def test_an_upper_case_message_id_is_accepted():
    message_id = "22B80B92-FDEA-4C2C-8F9D-BDFB0C7BF324"

    assert parse(body(envelope(MessageId=message_id)), header_type=None).message_id == message_id


@pytest.mark.parametrize("kind", ["", "notification", "Notification ", "Unknown", "Message"])
def test_an_unknown_type_is_rejected(kind):
    assert refusal(body(envelope(Type=kind))).status == 400


@pytest.mark.parametrize(
    "header", ["", "notification", "Notification ", "SubscriptionConfirmation", "x"]
)
def test_the_header_must_match_the_type(header):
    assert refusal(body(envelope()), header).status == 400


def test_the_header_may_be_absent():
    assert parse(body(envelope()), header_type=None).type == "Notification"


@pytest.mark.parametrize("name", ["eventType", "notificationType"])
def test_raw_message_delivery_is_rejected_with_the_setting_name(name):
    rejected = refusal(body({name: "Bounce", "mail": {"messageId": "1"}, "bounce": {}}))

    assert (rejected.status, rejected.name) == (400, "raw_message_delivery")
    assert "RawMessageDelivery" in rejected.message


def test_the_last_value_of_a_repeated_key_wins():
    raw = body(envelope()).replace(b'{"Type"', b'{"Message": "first", "Type"', 1)
    assert raw.count(b'"Message"') == 2

    assert parse(raw, header_type=None).message == envelope()["Message"]


def test_unsigned_fields_are_ignored():
    fields = envelope(UnsubscribeURL=7, MessageAttributes="x", Token="t", SubscribeURL="u")

    message = parse(body(fields), header_type=None)

    assert (message.token, message.subscribe_url) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        '{"notificationType":"AmazonSnsSubscriptionSucceeded","message":"You have successfully '
        "subscribed your Amazon SNS topic 'a' to receive 'Bounce' notifications from Amazon SES "
        "for identity 'example.com'.\"}\n",
        '{"notificationType":"Received","mail":{"messageId":"AMAZON_SES_SETUP_NOTIFICATION"}}',
        '{"notificationType":"Received","mail":{"messageId":"x"},"receipt":{"action":'
        '{"type":"S3","objectKey":"in/AMAZON_SES_SETUP_NOTIFICATION"}}}',
    ],
)
def test_set_up_confirmations_are_control_messages(text):
    assert is_control(text_message(text))


@pytest.mark.parametrize(
    "text",
    [
        envelope()["Message"],
        "",
        "hello",
        '{"eventType":"Send","mail":{"messageId":"1","commonHeaders":'
        '{"subject":"AMAZON_SES_SETUP_NOTIFICATION"}}}',
        '{"eventType":"Send","mail":{"commonHeaders":{"subject":"AmazonSnsSubscriptionSucceeded"}}}',
        '{"eventType":"Send","subject":"Successfully validated SNS topic"}',
        "AMAZON_SES_SETUP_NOTIFICATION",
        '["AmazonSnsSubscriptionSucceeded"]',
        '{"mail":"AMAZON_SES_SETUP_NOTIFICATION"}',
        '{"mail":["AMAZON_SES_SETUP_NOTIFICATION"],"receipt":{"action":[]}}',
        '{"receipt":{"action":{"objectKey":["AMAZON_SES_SETUP_NOTIFICATION"]}}}',
    ],
)
def test_an_event_that_quotes_a_control_message_is_not_one(text):
    assert not is_control(text_message(text))


def test_a_confirmation_is_never_a_control_message():
    text = "Successfully validated SNS topic"

    assert not is_control(text_message(text, "subscription_confirmation"))


def test_the_fixtures_are_complete():
    assert {path.stem for path in FIXTURES.glob("*.json")} == set(KINDS)
