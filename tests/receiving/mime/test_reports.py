"""Delivery and feedback reports, and the kind of a message."""

import pytest

from receiving.mime.category import Category, category
from receiving.mime.message import read
from receiving.mime.reports import reports
from tests.receiving.mime.messages import message, multipart, part

STATUS = """Reporting-MTA: dns; mx.example.net
Original-Envelope-Id: env-1

Original-Recipient: rfc822;Bob@example.org
Final-Recipient: rfc822; robert@inner.example.org
Action: failed
Status: 5.1.1 (no such user)
Remote-MTA: dns; inner.example.org
Diagnostic-Code: smtp; 550 5.1.1 No such
 user

Final-Recipient: rfc822; <ann@example.org>
Action: Delayed
Status: 4.4.1
"""
FEEDBACK = """Feedback-Type: Abuse
User-Agent: SomeGenerator/1.0
Version: 1
Original-Rcpt-To: <bob@example.org>
Original-Rcpt-To: ann@example.org
Arrival-Date: Mon, 3 Feb 2025 10:12:00 +0000
"""
RETURNED = "Message-ID: <id-1@example.com>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nText"


def report(kind, *parts):
    octets = multipart(f"report; report-type={kind}", part("Sorry."), *parts)
    return octets.replace(b'multipart/report; report-type="', b"multipart/report; ")


def dsn(status=STATUS, **fields):
    return report(
        "delivery-status",
        part(status, "message/delivery-status", **fields),
        part(RETURNED, "message/rfc822"),
    )


def test_a_delivery_report_names_recipients_and_reasons():
    found = reports(read(dsn()))
    assert found.delivery.reporting_mta == "mx.example.net"
    assert found.delivery.envelope_id == "env-1"
    bob, ann = found.delivery.recipients
    assert (bob.address, bob.final_address) == ("Bob@example.org", "robert@inner.example.org")
    assert (bob.action, bob.status, bob.remote_mta) == ("failed", "5.1.1", "inner.example.org")
    assert bob.diagnostic_code == "smtp; 550 5.1.1 No such user"
    assert (ann.address, ann.action, ann.status) == ("ann@example.org", "delayed", "4.4.1")


def test_the_header_of_the_returned_message_is_known():
    found = reports(read(dsn()))
    assert found.returned_value("message-id") == "<id-1@example.com>"
    assert found.returned_value("subject") == "Grüße"
    assert found.returned_value("x-none") == ""


def test_the_header_alone_may_be_returned():
    octets = report(
        "delivery-status",
        part(STATUS, "message/delivery-status"),
        part("Message-ID: <id-2@example.com>", "text/rfc822-headers"),
    )
    assert reports(read(octets)).returned_value("message-id") == "<id-2@example.com>"


@pytest.mark.parametrize(
    ("status", "addresses"),
    [
        (
            "Final-Recipient: rfc822; a@example.org\nAction: failed\nStatus: 5.0.0\n",
            ["a@example.org"],
        ),
        ("\n\nReporting-MTA: dns; x\n\n\n\nFinal-Recipient: a@example.org\n", ["a@example.org"]),
        ("Reporting-MTA: dns; x\n", []),
        ("No fields at all\n", None),
        ("", None),
    ],
    ids=["one group", "more blank lines", "no recipient", "no fields", "empty"],
)
def test_reports_that_are_not_as_they_should_be_are_read(status, addresses):
    delivery = reports(read(dsn(status))).delivery
    found = None if delivery is None else [each.address for each in delivery.recipients]
    assert found == addresses


def test_a_report_may_be_encoded():
    octets = dsn(
        STATUS.replace("example.org", "ex=61mple.org"), Content_Transfer_Encoding="quoted-printable"
    )
    assert reports(read(octets)).delivery.recipients[0].address == "Bob@example.org"


def test_a_feedback_report_names_recipients():
    octets = report(
        "feedback-report",
        part(FEEDBACK, "message/feedback-report"),
        part(RETURNED, "message/rfc822"),
    )
    found = reports(read(octets))
    assert found.feedback.feedback_type == "abuse"
    assert found.feedback.original_recipients == ("bob@example.org", "ann@example.org")
    assert found.returned_value("message-id") == "<id-1@example.com>"


def test_an_ordinary_message_with_an_attached_one_has_no_report():
    found = reports(read(multipart("mixed", part("fwd"), part(RETURNED, "message/rfc822"))))
    assert (found.delivery, found.feedback, found.returned) == (None, None, ())


KINDS = {
    "a person": (message("Hi"), Category.HUMAN),
    "Auto-Submitted: no": (message(headers="Auto-Submitted: no\n"), Category.HUMAN),
    "a failed delivery": (dsn(), Category.BOUNCE),
    "a delayed delivery": (dsn(STATUS.replace("failed", "delayed")), Category.NOTIFICATION),
    "qmail": (
        message()
        .replace(b"From: Ann <ann@example.org>", b"From: MAILER-DAEMON@mx.example.net")
        .replace(b"Hello", b"failure notice"),
        Category.BOUNCE,
    ),
    "Exim": (message(headers="X-Failed-Recipients: bob@example.org\n"), Category.BOUNCE),
    "feedback": (
        report("feedback-report", part(FEEDBACK, "message/feedback-report")),
        Category.FEEDBACK_REPORT,
    ),
    "an auto-reply": (
        message(headers="Auto-Submitted: auto-replied (vacation)\n"),
        Category.AUTO_REPLY,
    ),
    "Precedence": (message(headers="Precedence: auto_reply\n"), Category.AUTO_REPLY),
    "a subject": (message().replace(b"Hello", b"Automatic reply: Hello"), Category.AUTO_REPLY),
    "a list": (message(headers="List-Id: <l.example.org>\nList-Unsubscribe: <x>\n"), Category.LIST),
    "a newsletter": (message(headers="List-Unsubscribe: <mailto:x@y.z>\n"), Category.LIST),
    "generated": (message(headers="Auto-Submitted: auto-generated\n"), Category.NOTIFICATION),
    "no reply": (message().replace(b"ann@", b"no-reply@"), Category.NOTIFICATION),
}


@pytest.mark.parametrize(("octets", "kind"), KINDS.values(), ids=KINDS.keys())
def test_the_category_of_a_message(octets, kind):
    found = read(octets)
    assert category(found, reports(found)) == kind


def test_the_null_sender_tells_a_bounce_from_a_question_about_one():
    found = read(message().replace(b"Hello", b"Undeliverable: Hello"))
    assert category(found, reports(found)) == Category.HUMAN
    assert category(found, reports(found), has_null_sender=True) == Category.BOUNCE
