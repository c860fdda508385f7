"""Events that name nobody, nobody readable, or an address that the email was not sent to."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts.models import Contact, Suppression
from emails.models import EmailEvent, EmailRecipient
from ingest.models import ProviderEvent
from ingest.processing import process_ses
from ingest.services import reprocess

R, OTHER, FORWARDED = "recipient@example.com", "other@example.com", "a.real@other.test"
LISTS = {
    "bounce_permanent_general": ("bounce", "bouncedRecipients"),
    "bounce_transient_mailbox_full": ("bounce", "bouncedRecipients"),
    "complaint_abuse": ("complaint", "complainedRecipients"),
    "delivery_delay": ("deliveryDelay", "delayedRecipients"),
    "delivery": ("delivery", "recipients"),
}
FACTS = {
    "bounce_permanent_general": ("bounced", "bounced"),
    "bounce_transient_mailbox_full": ("bounced", "soft_bounced"),
    "complaint_abuse": ("complained", "complained"),
    "delivery_delay": ("delivery_delayed", "delivery_delayed"),
    "delivery": ("delivered", "delivered"),
}
ORIGINS = {"bounce_permanent_general": "bounce", "complaint_abuse": "complaint"}
MISSING = type("Missing", (), {})  # has the same name in every test process
# What names nobody: empty, absent, no list, or nothing in it that is an address.
NOBODY = [
    *([], MISSING, None, {}, "", 7, True, "redacted", [""], [None], [[]], [7], [{}]),
    *(["redacted"], [{"emailAddress": None}], [{"emailAddress": ["a@example.com"]}]),
    *([{"emailAddress": "redacted"}], [{"emailAddress": "@example.com"}]),
    *([{"emailAddress": "a@example.com, b@example.com"}], [{"emailAddress": "<>"}]),
    *([{"emailAddress": "a\ud83d@example.com"}], [{"emailAddress": "a@" + "b" * 3000}]),
]
BAD_ENTRIES = ["", None, 7, [], {}, "redacted", {"emailAddress": ""}, {"address": R}]


@pytest.fixture
def naming(sample):
    """`naming("delivery", value)`: that sample with its list of recipients replaced."""

    def change(name, value):
        event = sample(name)
        key, field = LISTS[name]
        if value is MISSING:
            del event[key][field]
        else:
            event[key][field] = value
        return event

    return change


def statuses():
    return dict(EmailRecipient.objects.values_list("address", "status"))


def facts():
    return list(EmailEvent.objects.order_by("recipient").values_list("type", "recipient", "status"))


def suppressions():
    return dict(Suppression.objects.values_list("email", "origin"))


@pytest.mark.parametrize("value", NOBODY, ids=repr)
@pytest.mark.parametrize("name", LISTS)
def test_who_is_not_named_is_the_only_recipient(
    name, value, naming, make_email, ingest_events, published
):
    make_email(to=[R])

    (row,) = ingest_events(naming(name, value))

    kind, status = FACTS[name]
    assert facts() == [(kind, R, status)]
    assert statuses() == {R: status}
    assert row.state == "processed"
    assert "taken as the only recipient's" in row.reason
    assert published(f"email.{kind}")[0][1]["recipient"] == R
    # A complaint that names nobody suppresses nobody.
    assert suppressions() == ({R: "bounce"} if ORIGINS.get(name) == "bounce" else {})


@pytest.mark.parametrize("value", NOBODY, ids=repr)
@pytest.mark.parametrize("name", LISTS)
def test_who_is_not_named_is_unknown_among_several(
    name, value, naming, make_email, ingest_events, published
):
    email = make_email()

    (row,) = ingest_events(naming(name, value))

    kind, _ = FACTS[name]
    assert facts() == [(kind, "", "")]
    assert statuses() == {R: "sent", OTHER: "sent"}
    assert (row.state, row.email_id, row.next_attempt_at) == ("quarantined", email.pk, None)
    assert row.reason.endswith("the affected recipient is unknown")
    assert "recipient" not in published(f"email.{kind}")[0][1]
    assert not suppressions()


@pytest.mark.parametrize("spelling", [FORWARDED, f"Ann <{FORWARDED.upper()}>", f" {FORWARDED} "])
@pytest.mark.parametrize("name", LISTS)
def test_an_address_that_is_not_on_the_email_is_the_only_recipient(
    name, spelling, naming, make_email, ingest_events
):
    make_email(to=[R])
    entry = spelling if name == "delivery" else {"emailAddress": spelling}

    (row,) = ingest_events(naming(name, [entry]))

    kind, status = FACTS[name]
    assert facts() == [(kind, R, status)]
    assert statuses() == {R: status}
    assert (row.state, "not a recipient of the email" in row.reason) == ("processed", True)
    assert suppressions() == ({R: ORIGINS[name]} if name in ORIGINS else {})


@pytest.mark.parametrize("name", LISTS)
def test_an_address_that_is_not_on_the_email_is_unknown_among_several(
    name, naming, make_email, ingest_events
):
    make_email()
    entry = FORWARDED if name == "delivery" else {"emailAddress": FORWARDED}

    (row,) = ingest_events(naming(name, [entry]))

    assert facts() == [(FACTS[name][0], "", "")]
    assert statuses() == {R: "sent", OTHER: "sent"}
    assert row.state == "quarantined"
    assert not suppressions()


@pytest.mark.parametrize("bad", [*BAD_ENTRIES, {"emailAddress": FORWARDED}], ids=repr)
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_bad_entry_does_not_spoil_a_good_one(
    bad, name, is_first, naming, make_email, ingest_events, published
):
    make_email()
    good = R if name == "delivery" else {"emailAddress": R}

    (row,) = ingest_events(naming(name, [bad, good] if is_first else [good, bad]))

    kind, status = FACTS[name]
    assert facts() == [(kind, R, status)]
    assert statuses() == {R: status, OTHER: "sent"}
    assert row.state == "processed"
    assert row.reason  # the bad one is noted
    assert suppressions() == ({R: ORIGINS[name]} if name in ORIGINS else {})
    assert published(f"email.{kind}")[0][1]["recipient"] == R


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", [{"emailAddress": R}, R, [R], [{"emailAddress": R}]], ids=repr)
def test_one_recipient_is_read_in_any_shape(name, value, naming, make_email, ingest_events):
    make_email()

    (row,) = ingest_events(naming(name, value))

    kind, status = FACTS[name]
    assert facts() == [(kind, R, status)]
    assert (row.state, row.reason) == ("processed", "")


def test_the_only_recipient_is_the_one_that_was_sent_to(naming, make_email, ingest_events):
    email = make_email()
    email.recipients.filter(address=OTHER).update(status="suppressed")

    ingest_events(naming("bounce_permanent_general", []))

    assert statuses() == {R: "bounced", OTHER: "suppressed"}


def test_what_a_redacted_bounce_says_is_kept(naming, make_email, ingest_events, published):
    entry = {"emailAddress": "redacted", "diagnosticCode": "smtp; 550 5.1.1 gone"}
    make_email(to=[R])

    ingest_events(naming("bounce_permanent_general", [{}, entry]))

    assert EmailRecipient.objects.get().detail == "smtp; 550 5.1.1 gone"
    assert published("email.bounced")[0][1]["bounce"]["message"] == "smtp; 550 5.1.1 gone"


@pytest.mark.parametrize(
    ("destination", "unsubscribed"),
    [
        ([R], [R]),
        ([f"Rita <{R.upper()}>", None, 7], [R]),
        (R, [R]),
        ([FORWARDED], []),
        (None, []),
        ([], []),
        (7, []),
        ({"a": "b"}, []),
    ],
)
def test_an_unsubscribe_reads_destinations_in_any_shape(
    destination, unsubscribed, sample, make_email, ingest_events
):
    event = sample("subscription_unsubscribe_all")
    event["mail"]["destination"] = destination
    make_email()

    (row,) = ingest_events(event)

    assert list(Contact.objects.values_list("email", flat=True)) == unsubscribed
    assert row.state == ("processed" if unsubscribed else "quarantined")


def test_an_unsubscribe_without_a_destination_is_the_only_recipients(
    sample, make_email, ingest_events
):
    event = sample("subscription_unsubscribe_all")
    event["subscription"]["newTopicPreferences"]["unsubscribeAll"] = "True"
    del event["mail"]["destination"]
    make_email(to=[R])

    ingest_events(event)

    assert list(Contact.objects.values_list("email", "unsubscribed")) == [(R, True)]


def test_a_quarantined_event_can_be_reprocessed_without_effect(
    naming, make_email, ingest_events, published
):
    make_email()
    (row,) = ingest_events(naming("bounce_permanent_general", []))
    before = published(), facts()

    assert reprocess(ProviderEvent.objects.all()) == 1
    ProviderEvent.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=1))
    assert process_ses().failed == 1

    row.refresh_from_db()
    assert (row.state, row.next_attempt_at) == ("quarantined", None)
    assert (published(), facts()) == before
