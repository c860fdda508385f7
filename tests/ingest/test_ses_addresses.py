"""Addresses and texts from remote servers, in every spelling."""

import pytest

from emails.models import EmailRecipient
from tests.database import recipient_statuses, recorded_facts, suppressions

R, OTHER = "recipient@example.com", "other@example.com"


@pytest.mark.parametrize(
    "spelling",
    [
        f"Rita Recipient <{R}>",
        '"Recipient, Rita" <RECIPIENT@Example.COM>',
        " Recipient@EXAMPLE.com ",
        "=?utf-8?q?R=C3=ADta?= <recipient@example.com>",
    ],
)
def test_a_recipient_is_matched_in_any_spelling(
    spelling, sample, make_email, ingest_events, published
):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"][0]["emailAddress"] = spelling
    email = make_email()

    ingest_events(event)

    assert recipient_statuses(email) == {R: "bounced", OTHER: "sent"}
    assert recorded_facts(email) == [("bounced", R, "bounced")]
    assert suppressions() == {R: "bounce"}
    assert published("email.bounced")[0][1]["recipient"] == R


def test_events_use_the_emails_spelling_of_a_recipient(
    sample, make_email, ingest_events, published
):
    email = make_email(to=["Recipient@example.com"])

    ingest_events(sample("bounce_permanent_general"))

    assert recorded_facts(email) == [("bounced", "Recipient@example.com", "bounced")]
    assert published("email.bounced")[0][1]["recipient"] == "Recipient@example.com"
    assert suppressions() == {R: "bounce"}


def test_a_u_label_matches_its_a_label(sample, make_email, ingest_events):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"][0]["emailAddress"] = "rita@BÜCHER.example"
    email = make_email(to=["rita@xn--bcher-kva.example"])

    ingest_events(event)

    assert recipient_statuses(email) == {"rita@xn--bcher-kva.example": "bounced"}
    assert suppressions() == {"rita@xn--bcher-kva.example": "bounce"}


def test_a_bounce_of_an_unknown_address_has_no_recipient(
    sample, make_email, ingest_events, published
):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"][0]["emailAddress"] = "Elsewhere@example.net"
    email = make_email()

    (row,) = ingest_events(event)

    assert row.state == "quarantined"
    assert recipient_statuses(email) == {R: "sent", OTHER: "sent"}
    assert recorded_facts(email) == [("bounced", "", "")]
    assert "recipient" not in published("email.bounced")[0][1]
    assert not suppressions()


def test_simulator_addresses_are_never_suppressed(sample, make_email, ingest_events, published):
    bounce, complaint = sample("bounce_permanent_general"), sample("complaint_abuse")
    address = "Bounce Test <bounce+label@Simulator.amazonses.com>"
    bounce["bounce"]["bouncedRecipients"][0]["emailAddress"] = address
    complaint["complaint"]["complainedRecipients"][0]["emailAddress"] = address
    email = make_email(to=["bounce+label@simulator.amazonses.com"])

    ingest_events(bounce, complaint)

    assert recipient_statuses(email) == {"bounce+label@simulator.amazonses.com": "complained"}
    assert not suppressions()
    assert not published("suppression.added")


def test_a_nul_in_a_diagnostic_code_is_replaced(sample, make_email, ingest_events):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"][0]["diagnosticCode"] = "smtp; 550 \x00 gone"
    email = make_email()

    (row,) = ingest_events(event)

    assert (row.state, row.reason) == ("processed", "")
    assert EmailRecipient.objects.get(email=email, address=R).detail == "smtp; 550 \ufffd gone"
