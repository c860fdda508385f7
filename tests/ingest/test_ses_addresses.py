"""Addresses and texts as strangers' servers spell them."""

import pytest

from contacts.models import Suppression
from emails.models import EmailEvent, EmailRecipient

R, OTHER = "recipient@example.com", "other@example.com"


def recipients(email):
    return dict(EmailRecipient.objects.filter(email=email).values_list("address", "status"))


def facts(email):
    rows = EmailEvent.objects.filter(email=email).order_by("recipient")
    return [(row.type, row.recipient, row.status) for row in rows]


def suppressions():
    return dict(Suppression.objects.values_list("email", "origin"))


@pytest.mark.parametrize(
    "spelling",
    [
        f"Rita Recipient <{R}>",
        '"Recipient, Rita" <RECIPIENT@Example.COM>',
        " Recipient@EXAMPLE.com ",
        "=?utf-8?q?R=C3=ADta?= <recipient@example.com>",
    ],
)
def test_a_recipient_is_known_in_every_spelling(spelling, sample, make_email, take_in, published):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"][0]["emailAddress"] = spelling
    email = make_email()

    take_in(event)

    assert recipients(email) == {R: "bounced", OTHER: "sent"}
    assert facts(email) == [("bounced", R, "bounced")]
    assert suppressions() == {R: "bounce"}
    assert published("email.bounced")[0][1]["recipient"] == R


def test_a_recipient_is_named_as_the_mail_spells_it(sample, make_email, take_in, published):
    email = make_email(to=["Recipient@example.com"])

    take_in(sample("bounce_permanent_general"))

    assert facts(email) == [("bounced", "Recipient@example.com", "bounced")]
    assert published("email.bounced")[0][1]["recipient"] == "Recipient@example.com"
    assert suppressions() == {R: "bounce"}


def test_a_u_label_is_its_a_label(sample, make_email, take_in):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"][0]["emailAddress"] = "rita@BÜCHER.example"
    email = make_email(to=["rita@xn--bcher-kva.example"])

    take_in(event)

    assert recipients(email) == {"rita@xn--bcher-kva.example": "bounced"}
    assert suppressions() == {"rita@xn--bcher-kva.example": "bounce"}


def test_a_bounce_of_somebody_the_mail_was_forwarded_to_is_kept(
    sample, make_email, take_in, published
):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"][0]["emailAddress"] = "Elsewhere@example.net"
    email = make_email()

    take_in(event)

    assert recipients(email) == {R: "sent", OTHER: "sent"}
    assert facts(email) == [("bounced", "elsewhere@example.net", "bounced")]
    assert published("email.bounced")[0][1]["recipient"] == "elsewhere@example.net"


def test_the_simulators_addresses_are_never_suppressed(sample, make_email, take_in, published):
    bounce, complaint = sample("bounce_permanent_general"), sample("complaint_abuse")
    address = "Bounce Test <bounce+label@Simulator.amazonses.com>"
    bounce["bounce"]["bouncedRecipients"][0]["emailAddress"] = address
    complaint["complaint"]["complainedRecipients"][0]["emailAddress"] = address
    email = make_email(to=["bounce+label@simulator.amazonses.com"])

    take_in(bounce, complaint)

    assert recipients(email) == {"bounce+label@simulator.amazonses.com": "complained"}
    assert not suppressions()
    assert not published("suppression.added")


def test_a_diagnostic_code_with_a_nul_is_kept_without_it(sample, make_email, take_in):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"][0]["diagnosticCode"] = "smtp; 550 \x00 gone"
    email = make_email()

    (row,) = take_in(event)

    assert (row.state, row.reason) == ("processed", "")
    assert EmailRecipient.objects.get(email=email, address=R).detail == "smtp; 550 \ufffd gone"
