"""What becomes of a message, told by the events on its configuration set's topic."""

import pytest

from tests.twin.twin_running import raw_message, send_raw

OUTCOMES = [
    ("anyone@example.net", ["Send", "Delivery"]),
    ("success@simulator.amazonses.com", ["Send", "Delivery"]),
    ("bounce+x@simulator.amazonses.com", ["Send", "Bounce"]),
    ("bounce@bounce.twin.test", ["Send", "Bounce"]),
    ("ooto@simulator.amazonses.com", ["Send", "Delivery", "Bounce"]),
    ("complaint+1@simulator.amazonses.com", ["Send", "Delivery", "Complaint"]),
    ("any@complaint.twin.test", ["Send", "Delivery", "Complaint"]),
    ("suppressionlist@simulator.amazonses.com", ["Send", "Bounce"]),
    ("any@softbounce.twin.test", ["Send", "Bounce"]),
    ("any@delay.twin.test", ["Send", "DeliveryDelay", "Delivery"]),
    ("any@reject.twin.test", ["Send", "Reject"]),
    ("any@renderingfailure.twin.test", ["Rendering Failure"]),
]


@pytest.mark.parametrize(("address", "expected"), OUTCOMES, ids=[each[0] for each in OUTCOMES])
def test_the_address_decides_which_events_follow(publishing, verified, address, expected, quiet):
    message_id = send_raw(verified, to=address)

    events = publishing.events(len(expected))
    quiet()
    assert publishing.is_empty()
    by_time = [(each["mail"]["messageId"], each["eventType"]) for each in events]
    assert sorted(by_time) == sorted((message_id, each) for each in expected)


def events_by_type(publishing, count):
    return {each["eventType"]: each for each in publishing.events(count)}


def test_an_event_shows_the_mail_as_ses_does(publishing, verified):
    raw = raw_message(
        "Cc: C C <c@example.net>",
        "Message-ID: <mine@example.com>",
        "X-OpenSend-Email-ID: 42",
        subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
    )
    message_id = send_raw(
        verified, raw=raw, to=["Bob <bob@example.net>"], EmailTags=[{"Name": "a.b", "Value": "c"}]
    )
    received = publishing.next()
    assert received.json["Subject"] == "Amazon SES Email Event Notification"
    assert received.json["Message"].endswith("}\n")
    assert received.event["send"] == {}

    delivered = publishing.next().event
    mail = delivered["mail"]
    assert (mail["messageId"], mail["source"]) == (message_id, "Ada <ada@example.com>")
    assert mail["sourceArn"] == "arn:aws:ses:us-east-1:123456789012:identity/example.com"
    assert mail["destination"] == ["Bob <bob@example.net>"]
    assert mail["timestamp"].endswith("Z")
    assert mail["headersTruncated"] is False
    assert {"name": "X-OpenSend-Email-ID", "value": "42"} in mail["headers"]
    assert mail["commonHeaders"] == {
        "from": ["Ada <ada@example.com>"],
        "to": ["bob@example.net"],
        "cc": ["C C <c@example.net>"],
        "messageId": message_id,
        "subject": "Grüße",
    }
    assert mail["tags"] == {
        "a.b": ["c"],
        "ses:configuration-set": ["mail"],
        "ses:operation": ["SendRawEmail"],
        "ses:source-ip": ["127.0.0.1"],
        "ses:from-domain": ["example.com"],
        "ses:caller-identity": ["twin"],
        "ses:outgoing-ip": ["54.240.8.70"],
    }
    assert delivered["delivery"]["recipients"] == ["bob@example.net"]
    assert delivered["delivery"]["timestamp"] > mail["timestamp"]


def test_bcc_stays_out_of_events_and_long_headers_are_cut(publishing, verified):
    raw = raw_message("Bcc: eve@example.net", *(f"X-{n}: {'x' * 900}" for n in range(20)))
    send_raw(verified, raw=raw)
    mail = publishing.next().event["mail"]
    names = [each["name"] for each in mail["headers"]]
    assert "Bcc" not in names
    assert "X-9" in names
    assert "X-19" not in names
    assert mail["headersTruncated"] is True


BOUNCES = [
    ("bounce@simulator.amazonses.com", "Permanent", "General", "5.1.1"),
    ("suppressionlist@simulator.amazonses.com", "Permanent", "Suppressed", "5.1.1"),
    ("full@softbounce.twin.test", "Transient", "MailboxFull", "5.2.2"),
    ("ooto@simulator.amazonses.com", "Transient", "General", None),
]


@pytest.mark.parametrize(("address", "kind", "subtype", "status"), BOUNCES)
def test_a_bounce_says_what_kind_it_is(publishing, verified, address, kind, subtype, status):
    send_raw(verified, to=address)
    bounce = events_by_type(publishing, 3 if "ooto" in address else 2)["Bounce"]["bounce"]
    assert (bounce["bounceType"], bounce["bounceSubType"]) == (kind, subtype)
    (recipient,) = bounce["bouncedRecipients"]
    assert (recipient["emailAddress"], recipient.get("status")) == (address, status)
    assert bounce["feedbackId"].startswith("0100")


def test_the_other_events_carry_their_own_objects(publishing, verified):
    send_raw(verified, to="any@complaint.twin.test")
    complaint = events_by_type(publishing, 3)["Complaint"]["complaint"]
    assert complaint["complainedRecipients"] == [{"emailAddress": "any@complaint.twin.test"}]
    assert complaint["complaintFeedbackType"] == "abuse"

    send_raw(verified, to="any@delay.twin.test")
    delay = events_by_type(publishing, 3)["DeliveryDelay"]["deliveryDelay"]
    assert delay["delayType"] == "TransientCommunicationFailure"
    assert delay["expirationTime"] > delay["timestamp"]
    assert delay["delayedRecipients"][0]["status"] == "4.4.1"

    send_raw(verified, to="any@reject.twin.test")
    assert events_by_type(publishing, 2)["Reject"]["reject"] == {"reason": "Bad content"}

    send_raw(verified, to="any@renderingfailure.twin.test")
    assert publishing.next().event["failure"]["errorMessage"]


def test_recipients_of_one_message_have_their_own_outcomes(publishing, verified):
    send_raw(verified, to=["a@example.net", "b@example.net", "x@bounce.twin.test"])
    events = events_by_type(publishing, 3)
    assert events["Delivery"]["delivery"]["recipients"] == ["a@example.net", "b@example.net"]
    bounced = events["Bounce"]["bounce"]["bouncedRecipients"]
    assert [each["emailAddress"] for each in bounced] == ["x@bounce.twin.test"]
    assert len(events["Send"]["mail"]["destination"]) == 3


def test_only_enabled_destinations_get_the_types_that_they_match(
    publishing, verified, topic, quiet
):
    def update(**changes):
        verified.update_configuration_set_event_destination(
            ConfigurationSetName="mail",
            EventDestinationName="all",
            EventDestination={"SnsDestination": {"TopicArn": topic}, **changes},
        )

    update(Enabled=True, MatchingEventTypes=["DELIVERY"])
    send_raw(verified)
    assert publishing.next().event["eventType"] == "Delivery"

    update(Enabled=False, MatchingEventTypes=["SEND", "DELIVERY"])
    send_raw(verified)
    quiet()
    assert publishing.is_empty()


def test_mail_without_a_configuration_set_has_no_events(publishing, verified, quiet):
    verified.send_email(Content={"Raw": {"Data": raw_message()}})
    quiet()
    assert publishing.is_empty()


def test_dropped_events_never_come(twin, publishing, verified, quiet):
    twin.fault(drop_events=1)
    send_raw(verified)
    quiet()
    assert publishing.is_empty()


def test_duplicate_events_come_twice(twin, publishing, verified, quiet):
    twin.fault(duplicate_events=1)
    for _ in range(4):
        send_raw(verified)
    events = publishing.events(16)
    quiet()
    assert publishing.is_empty()
    kinds = [(each["mail"]["messageId"], each["eventType"]) for each in events]
    assert all(kinds.count(each) == 2 for each in kinds)


def test_reordered_events_come_backwards_with_their_true_times(twin, publishing, verified):
    twin.fault(reorder_events=True)
    send_raw(verified, to="any@complaint.twin.test")
    events = publishing.events(3)
    assert [each["eventType"] for each in events] == ["Complaint", "Delivery", "Send"]
    assert events[0]["complaint"]["timestamp"] > events[1]["delivery"]["timestamp"]


def test_delayed_events_come_later(twin, publishing, verified):
    twin.fault(delay_events_ms=800)
    send_raw(verified)
    assert twin.get("health").json()["pending_events"] == 2
    assert publishing.is_empty()
    assert len(publishing.events(2)) == 2
