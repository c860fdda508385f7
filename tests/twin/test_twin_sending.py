"""SendEmail: what SES takes, what it refuses, and the message as it leaves."""

import base64
import email
import re
from email.policy import default as default_policy

import pytest
from botocore.exceptions import ClientError

from tests.twin.twin_running import raw_message, send_raw


def wire(twin, message_id):
    (mail,) = [each for each in twin.mail() if each["id"] == message_id]
    return base64.b64decode(mail["raw_base64"])


def test_a_raw_message_leaves_with_the_ids_of_ses_and_without_bcc(twin, verified):
    raw = raw_message(
        "Message-ID: <mine@example.com>",
        "Date: Thu, 1 Jan 2015 00:00:00 +0000",
        "Bcc: secret@example.net,",
        " other@example.net",
        "X-Kept: a folded",
        "\tvalue",
    )
    message_id = send_raw(verified, raw=raw, EmailTags=[{"Name": "email_id", "Value": "42"}])

    uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    assert re.fullmatch(rf"0100[0-9a-f]{{12}}-{uuid}-000000", message_id)
    (mail,) = twin.mail(recipient="BOB@example.net")
    assert mail["envelope"] == {"from": "Ada <ada@example.com>", "to": ["bob@example.net"]}
    assert (mail["tags"], mail["configuration_set"]) == ({"email_id": "42"}, "mail")
    message = email.message_from_bytes(wire(twin, message_id))
    assert message["Message-ID"] == f"<{message_id}@email.amazonses.com>"
    assert "2015" not in message["Date"]
    assert message["Bcc"] is None
    assert message["X-Kept"] == "a folded\r\n\tvalue"
    assert wire(twin, message_id).endswith(b"\r\n\r\nHi Bob\r\n")


def test_bytes_of_the_body_are_kept_as_they_are(twin, verified):
    raw = raw_message("Content-Transfer-Encoding: 8bit") + bytes(range(128, 256)) + b"\nx\r\r\n"
    assert wire(twin, send_raw(verified, raw=raw)).endswith(bytes(range(128, 256)) + b"\nx\r\r\n")


def test_other_regions_have_their_name_in_the_message_id(twin, connect):
    ses = connect(twin, "sesv2", region="eu-west-1")
    twin.post("identities", {"name": "example.com", "region": "eu-west-1"}).raise_for_status()
    message_id = send_raw(ses, ConfigurationSetName="")
    message = email.message_from_bytes(wire(twin, message_id))
    assert message["Message-ID"] == f"<{message_id}@eu-west-1.amazonses.com>"


def test_destination_replaces_the_headers_for_the_envelope(twin, verified):
    send_raw(verified, to=["x@example.net"])
    (mail,) = twin.mail()
    assert mail["envelope"]["to"] == ["x@example.net"]


def test_without_destination_the_headers_are_the_envelope(twin, verified):
    raw = raw_message("Cc: C <c@example.net>, d@example.net", "Bcc: e@example.net")
    verified.send_email(Content={"Raw": {"Data": raw}})
    (mail,) = twin.mail()
    assert mail["envelope"]["to"] == [
        *("bob@example.net", "c@example.net", "d@example.net", "e@example.net")
    ]


def test_a_simple_message_gets_both_bodies_headers_and_attachments(twin, verified):
    message_id = verified.send_email(
        FromEmailAddress="Ada <ada@example.com>",
        Destination={"ToAddresses": ["bob@example.net"], "BccAddresses": ["eve@example.net"]},
        ReplyToAddresses=["help@example.com"],
        Content={
            "Simple": {
                "Subject": {"Data": "Grüße"},
                "Body": {"Text": {"Data": "plain ä"}, "Html": {"Data": "<p>rich</p>"}},
                "Headers": [{"Name": "X-Campaign", "Value": "spring"}],
                "Attachments": [{"FileName": "a.bin", "RawContent": b"\x00\xff"}],
            }
        },
    )["MessageId"]
    message = email.message_from_bytes(wire(twin, message_id), policy=default_policy)
    assert (message["Subject"], message["X-Campaign"]) == ("Grüße", "spring")
    assert (message["Reply-To"], message["Bcc"]) == ("help@example.com", None)
    assert message.get_body(("plain",)).get_content().strip() == "plain ä"
    assert message.get_body(("html",)).get_content().strip() == "<p>rich</p>"
    (attachment,) = message.iter_attachments()
    assert attachment.get_content() == b"\x00\xff"
    assert twin.mail()[0]["envelope"]["to"] == ["bob@example.net", "eve@example.net"]


@pytest.mark.parametrize("sender", ["ada@other.com", "ada@notexample.com"])
def test_an_unverified_sender_is_refused_by_name(twin, verified, sender):
    with pytest.raises(verified.exceptions.MessageRejected) as refused:
        send_raw(verified, raw=raw_message(sender=sender))
    assert refused.value.response["Error"]["Message"] == (
        "Email address is not verified. The following identities failed the check in region "
        f"US-EAST-1: {sender}"
    )
    assert twin.mail() == []


@pytest.mark.parametrize("identity", ["ada@example.org", "example.org"])
def test_an_address_its_domain_and_a_parent_domain_verify_a_sender(twin, ses, identity):
    twin.post("identities", {"name": identity})
    ses.send_email(Content={"Raw": {"Data": raw_message(sender="Ada@example.org")}})

    twin.post("identities", {"name": identity, "status": "FAILED"})
    twin.post("identities", {"name": "org", "status": "SUCCESS"})
    ses.send_email(Content={"Raw": {"Data": raw_message(sender="ada@a.b.org")}})
    assert twin.get("mail/count").json()["count"] == 2


REFUSED = [
    ({"to": ["nobody"]}, "Missing final '@domain'"),
    ({"to": ["@example.net"]}, "Missing local name"),
    ({"to": ["a b@example.net"]}, "Local address contains control or whitespace"),
    ({"to": ["bob@exa mple.net"]}, "Domain contains illegal character"),
    ({"to": [f"u{n}@example.net" for n in range(51)]}, "Recipient count exceeds 50"),
    ({"raw": b"To: bob@example.net\r\n\r\nx"}, "Missing required header 'From'"),
    ({"raw": raw_message("Subject: twice")}, "Duplicate header 'Subject'"),
    ({"raw": b"no message at all"}, "Failed to parse"),
    ({"EmailTags": [{"Name": "a b", "Value": "c"}]}, "Invalid tag name"),
    ({"EmailTags": [{"Name": "a", "Value": "é"}]}, "Invalid tag value"),
    ({"EmailTags": [{"Name": f"t{n}", "Value": "v"} for n in range(51)]}, "Tag count exceeds"),
]


@pytest.mark.parametrize(("request_", "message"), REFUSED, ids=[each[1] for each in REFUSED])
def test_what_ses_would_not_take_is_refused(twin, verified, request_, message):
    with pytest.raises(verified.exceptions.BadRequestException, match=message):
        send_raw(verified, **request_)
    assert twin.mail() == []


def test_a_message_without_any_recipient_is_refused(verified):
    with pytest.raises(verified.exceptions.BadRequestException, match="at least one recipient"):
        verified.send_email(Content={"Raw": {"Data": b"From: ada@example.com\r\n\r\nx"}})


def test_fifty_recipients_and_fifty_tags_are_taken(twin, verified):
    tags = [{"Name": f"t{n}", "Value": "v"} for n in range(50)]
    send_raw(verified, to=[f"u{n}@example.net" for n in range(50)], EmailTags=tags)
    assert twin.get("mail/count").json() == {"count": 1, "recipients": 50, "kept": 1}


def test_a_message_may_have_forty_megabytes_and_no_more(verified):
    head = raw_message()
    body = b"x" * (40 * 1024 * 1024 - len(head))
    send_raw(verified, raw=head + body)
    with pytest.raises(verified.exceptions.BadRequestException, match="more than 41943040 bytes"):
        send_raw(verified, raw=head + body + b"x")


def test_an_unknown_configuration_set_is_not_found(verified):
    with pytest.raises(verified.exceptions.NotFoundException, match="<nope> does not exist"):
        send_raw(verified, ConfigurationSetName="nope")


def test_the_identitys_configuration_set_is_used_when_none_is_named(twin, verified):
    verified.put_email_identity_configuration_set_attributes(
        EmailIdentity="example.com", ConfigurationSetName="mail"
    )
    verified.send_email(Content={"Raw": {"Data": raw_message()}})
    assert twin.mail()[0]["configuration_set"] == "mail"


def test_a_paused_configuration_set_sends_nothing(verified):
    verified.create_configuration_set(
        ConfigurationSetName="paused", SendingOptions={"SendingEnabled": False}
    )
    with pytest.raises(verified.exceptions.SendingPausedException):
        send_raw(verified, ConfigurationSetName="paused")


def test_an_operation_that_is_not_there_says_so(ses):
    with pytest.raises(ClientError) as refused:
        ses.list_contact_lists()
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"


def test_the_account_reports_its_limits_and_what_was_sent(twin, verified):
    send_raw(verified, to=["a@example.net", "b@example.net"])
    account = verified.get_account()
    quota = {"Max24HourSend": 50000.0, "MaxSendRate": 500.0, "SentLast24Hours": 2.0}
    assert account["SendQuota"] == quota
    assert account["ProductionAccessEnabled"] is True

    twin.fault(send_rate=14, daily_quota=200)
    quota |= {"Max24HourSend": 200.0, "MaxSendRate": 14.0}
    assert verified.get_account()["SendQuota"] == quota
