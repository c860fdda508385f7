"""The canonical string, both signature versions, and attempts to forge a known message."""

import base64
import dataclasses
import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sns import Rejected, canonical_string, parse, verify
from tests.ingest.sns_signer import KINDS, SIGNED, body, envelope, key, rejection, signature, signed

PUBLIC = key().public_key()


def check(fields):
    message = parse(body(fields), header_type=None)
    verify(message, PUBLIC)
    return message


def test_the_canonical_string_of_a_notification():
    fields = envelope(
        Message="hi", Subject="S", MessageId="22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", TopicArn="arn"
    )

    assert canonical_string(parse(body(fields), header_type=None)) == (
        b"Message\nhi\nMessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\nSubject\nS\n"
        b"Timestamp\n2026-03-01T12:00:00.123Z\nTopicArn\narn\nType\nNotification\n"
    )


def test_only_an_absent_subject_is_left_out():
    absent = parse(body(envelope(Subject=None)), header_type=None)
    empty = parse(body(envelope(Subject="")), header_type=None)

    assert b"\nSubject\n" not in canonical_string(absent)
    assert b"\nSubject\n\nTimestamp\n" in canonical_string(empty)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_canonical_string_of_a_confirmation(kind):
    fields = envelope(kind, Message="hi", SubscribeURL="url", Token="tok", TopicArn="arn")
    message = parse(body(fields), header_type=None)

    assert canonical_string(message).decode() == (
        f"Message\nhi\nMessageId\n{fields['MessageId']}\nSubscribeURL\nurl\n"
        f"Timestamp\n2026-03-01T12:00:00.123Z\nToken\ntok\nTopicArn\narn\nType\n{fields['Type']}\n"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("message", ["hi", "Gr\u00fc\u00dfe \U0001f600\n\x00"])
def test_a_genuine_message_passes(kind, version, message):
    assert check(signed(kind, SignatureVersion=version, Message=message)).message == message


@pytest.mark.parametrize("subject", [None, "", "S"])
def test_a_genuine_notification_passes_with_and_without_subject(subject):
    assert check(signed(Subject=subject)).subject == subject


@pytest.mark.parametrize(("signed_as", "labelled"), [("2", "1"), ("1", "2")])
def test_a_signature_with_the_wrong_version_label_is_rejected(signed_as, labelled):
    fields = signed(SignatureVersion=signed_as) | {"SignatureVersion": labelled}

    rejected = rejection(check, fields)
    assert (rejected.status, rejected.name) == (
        403,
        "invalid_signature",
    )


@pytest.mark.parametrize("version", ["", "0", "3", "01", "1.0", " 1", "2 ", "\u0661", "true"])
def test_an_unknown_version_is_rejected(version):
    assert rejection(check, signed() | {"SignatureVersion": version}).status == 403


GOOD = signed()["Signature"]


BAD = {
    "empty": "",
    "only padding": "=",
    "too short": "AAAA",
    "no base64": "not base64!",
    "one character less": GOOD[:-1],
    "two characters less": GOOD[:-2],
    "more padding": GOOD + "=",
    "more bytes": GOOD + "AAAA",
    "a space before": " " + GOOD,
    "a space inside": GOOD[:8] + " " + GOOD[8:],
    "the alphabet of URLs": GOOD.replace("+", "-").replace("/", "_") + "-_",
    "outside ASCII": "\u00e9" + GOOD[1:],
    "zeros": base64.b64encode(b"\x00" * 256).decode(),
    "ones": base64.b64encode(b"\xff" * 256).decode(),
    "a byte too long": base64.b64encode(b"\x01" * 257).decode(),
}


# The key differs in each run, so ids from values would differ between pytest workers.
@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_an_invalid_signature_is_a_403(value):
    assert rejection(check, signed() | {"Signature": value}).status == 403


def test_another_key_does_not_verify():
    message = parse(body(signed()), header_type=None)

    with pytest.raises(Rejected):
        verify(message, key(3072).public_key())


def test_a_subject_folded_into_the_message_id_is_rejected_despite_equal_bytes():
    genuine = signed()
    folded = genuine | {"MessageId": f"{genuine['MessageId']}\nSubject\n{genuine['Subject']}"}
    del folded["Subject"]

    unchecked = dataclasses.replace(
        parse(body(genuine), header_type=None), message_id=folded["MessageId"], subject=None
    )

    verify(unchecked, PUBLIC)  # passes, because only the format check of MessageId stops this
    assert rejection(check, folded).status == 400


@pytest.mark.parametrize(
    ("name", "following"), [("Timestamp", "TopicArn"), ("Subject", "Timestamp")]
)
def test_no_other_field_can_be_folded(name, following):
    genuine = signed()
    folded = genuine | {name: f"{genuine[name]}\n{following}\n{genuine[following]}"}
    del folded[following]

    assert rejection(check, folded).status == 400


def test_a_message_that_imitates_later_fields_keeps_its_own_id():
    """Only Message may contain line feeds, so the other fields are unambiguous from the end."""
    genuine = signed()
    head, tail = "real", f"\nMessageId\n{'0' * 8}-0000-0000-0000-{'0' * 12}\nSubject\nforged"
    imitation = signed(Message=head + tail)

    assert check(imitation).message_id == genuine["MessageId"]
    assert rejection(check, imitation | {"Message": head}).status == 403
    assert rejection(check, imitation | {"Message": head, "Subject": "forged"}).status == 403


def test_a_signature_without_the_last_line_feed_is_rejected():
    fields = envelope()
    text = canonical_string(parse(body(fields), header_type=None)).decode()

    assert rejection(check, fields | {"Signature": signature(text[:-1])}).status == 403


def test_a_signature_without_the_token_is_rejected():
    fields = envelope("unsubscribe_confirmation")
    text = canonical_string(parse(body(fields), header_type=None)).decode()
    short = text.replace(f"Token\n{fields['Token']}\n", "")

    assert rejection(check, fields | {"Signature": signature(short)}).status == 403


def test_the_kept_value_of_a_repeated_key_is_the_verified_one():
    genuine = json.dumps(signed())
    forged = genuine[:-1] + ', "Message": "forged"}'
    harmless = '{"Message": "forged", ' + genuine[1:]

    with pytest.raises(Rejected):
        verify(parse(forged.encode(), header_type=None), PUBLIC)
    message = parse(harmless.encode(), header_type=None)
    verify(message, PUBLIC)
    assert message.message == envelope()["Message"]


line = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40)
payload = st.text(st.characters(codec="utf-8"), max_size=200)


@st.composite
def envelopes(draw):
    kind = draw(st.sampled_from(KINDS))
    changes = {
        "MessageId": str(draw(st.uuids())),
        "Message": draw(payload),
        "Timestamp": draw(line),
        "TopicArn": draw(line),
        "SignatureVersion": draw(st.sampled_from(["1", "2"])),
    }
    if kind == "notification":
        changes["Subject"] = draw(st.none() | line)
    else:
        changes |= {"Token": draw(line), "SubscribeURL": draw(line)}
    return signed(kind, **changes)


@settings(max_examples=60, deadline=None)
@given(envelopes())
def test_every_valid_message_round_trips(fields):
    message = check(fields)

    assert message.message == fields["Message"]
    assert message.message_id == fields["MessageId"]
    assert message.timestamp == fields["Timestamp"]
    assert message.topic_arn == fields["TopicArn"]
    assert message.subject == fields.get("Subject")
    assert message.token == fields.get("Token")
    assert message.subscribe_url == fields.get("SubscribeURL")


@settings(max_examples=120, deadline=None)
@given(envelopes(), st.data())
def test_any_change_in_a_signed_field_is_rejected(fields, data):
    name = data.draw(st.sampled_from([n for n in SIGNED[fields["Type"]] if n in fields]))
    old = fields[name]
    if name == "Type":
        new = data.draw(st.sampled_from(sorted(SIGNED)).filter(lambda kind: kind != old))
    elif name == "MessageId":
        new = str(data.draw(st.uuids().filter(lambda value: str(value) != old)))
    else:
        new = _mutated(old, data)

    changed = fields | {name: new}
    if name == "Type":
        changed |= {"Token": "t", "SubscribeURL": "u"} | fields
        changed["Type"] = new

    assert rejection(check, changed).status in (400, 403)


@settings(max_examples=60, deadline=None)
@given(envelopes(), st.data())
def test_a_signed_field_cannot_be_left_out(fields, data):
    name = data.draw(st.sampled_from([n for n in SIGNED[fields["Type"]] if n in fields]))

    rejected = rejection(check, {n: value for n, value in fields.items() if n != name})

    assert rejected.status == (403 if name == "Subject" else 400)


def _mutated(old, data):
    position = data.draw(st.integers(0, len(old)))
    inserted = data.draw(st.sampled_from(string.ascii_letters + " \n\u00e9\u0301"))
    kept_from = position + data.draw(st.integers(0, 1))
    new = old[:position] + inserted + old[kept_from:]
    return new if new != old else old + "x"
