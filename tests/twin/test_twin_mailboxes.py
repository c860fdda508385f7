"""Recipients in every form that RFC 5322 allows, and mail that the twin can't tell events of."""

import pytest
from botocore.exceptions import ClientError

from tests.twin.twin_running import raw_message, send_raw

MULLER = "=?utf-8?q?M=C3=BCller=2C_J=C3=BCrgen?="

# The value of a To header, the envelope and what the events show.
FORMS = [
    ("b@example.net", ["b@example.net"], ["b@example.net"]),
    (f"{MULLER} <b@example.net>", ["b@example.net"], ['"Müller, Jürgen" <b@example.net>']),
    ('"Doe, Jane" <b@example.net>', ["b@example.net"], ['"Doe, Jane" <b@example.net>']),
    ('"I <3 Mail" <b@example.net>', ["b@example.net"], ['"I <3 Mail" <b@example.net>']),
    ('"a\\"b\\\\" <b@example.net>', ["b@example.net"], ['"a\\"b\\\\" <b@example.net>']),
    ("=?utf-8?q?=3Cx=40y=3E?= <b@example.net>", ["b@example.net"], ['"<x@y>" <b@example.net>']),
    ("=?utf-8?b?a?= <b@example.net>", ["b@example.net"], ["=?utf-8?b?a?= <b@example.net>"]),
    (
        f'{MULLER} <b@example.net>, "Doe, Jane" <c@example.net>,\r\n d@example.net',
        ["b@example.net", "c@example.net", "d@example.net"],
        ['"Müller, Jürgen" <b@example.net>', '"Doe, Jane" <c@example.net>', "d@example.net"],
    ),
    (
        "Team: Bob <b@example.net>, c@example.net;",
        ["b@example.net", "c@example.net"],
        ["Bob <b@example.net>", "c@example.net"],
    ),
    ("Müller <b@example.net>", ["b@example.net"], ["Müller <b@example.net>"]),
]


def sent(verified, to, **changes):
    raw = b"From: ada@example.com\r\nTo: " + to.encode() + b"\r\nSubject: x\r\n\r\nx"
    return verified.send_email(
        Content={"Raw": {"Data": raw}}, ConfigurationSetName="mail", **changes
    )["MessageId"]


@pytest.mark.parametrize(("to", "envelope", "shown"), FORMS, ids=[each[0] for each in FORMS])
def test_every_form_of_recipients_has_its_events(publishing, verified, twin, to, envelope, shown):
    message_id = sent(verified, to)

    assert twin.mail()[0]["envelope"]["to"] == envelope
    for event_type in ("Send", "Delivery"):
        event = publishing.next().event
        assert (event["eventType"], event["mail"]["messageId"]) == (event_type, message_id)
        assert event["mail"]["commonHeaders"]["to"] == shown


def test_the_names_of_a_request_may_be_quoted(publishing, verified, twin):
    send_raw(verified, to=['"Doe, Jane <x>" <b@example.net>'])

    assert twin.mail()[0]["envelope"]["to"] == ["b@example.net"]
    assert publishing.next().event["send"] == {}


def test_an_empty_group_has_no_recipients(publishing, verified):
    sent(verified, "undisclosed-recipients:;", Destination={"ToAddresses": ["b@example.net"]})

    assert publishing.next().event["mail"]["commonHeaders"]["to"] == []


@pytest.mark.parametrize("to", ["Bob <", "c@", ",", "Bob"])
def test_recipients_that_cannot_be_read_are_refused(publishing, verified, twin, to):
    with pytest.raises(verified.exceptions.BadRequestException):
        sent(verified, to)

    assert twin.mail() == []


def test_a_mail_whose_events_cannot_be_told_is_not_accepted(publishing, verified, twin):
    """An unreadable Cc is not needed for the envelope, but the events show it."""
    raw = raw_message("Cc: Bob <")

    with pytest.raises(ClientError):
        send_raw(verified, raw=raw)

    assert twin.mail() == []


@pytest.mark.parametrize(
    "header", ["X-SES-CONFIGURATION-SET: other", "x-ses-message-tags: a=b", "X-Ses-Source-Arn: a"]
)
def test_headers_that_are_parameters_of_ses_are_refused(verified, twin, header):
    with pytest.raises(verified.exceptions.BadRequestException, match="does not support"):
        send_raw(verified, raw=raw_message(header))

    assert twin.mail() == []


@pytest.mark.parametrize("name", ["References", "List-Unsubscribe", "Comments"])
def test_a_header_that_may_occur_once_is_refused_twice(verified, name):
    with pytest.raises(verified.exceptions.BadRequestException, match="Duplicate header"):
        send_raw(verified, raw=raw_message(f"{name}: a", f"{name.lower()}: b"))
