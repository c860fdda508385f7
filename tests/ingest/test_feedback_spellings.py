"""Times, enumerations and details as they arrive, not only as SES documents them."""

import json
from datetime import datetime, timedelta
from itertools import permutations
from uuid import uuid4

import pytest
from django.utils import timezone

from contacts.models import Suppression
from emails.models import Email, EmailEvent, EmailRecipient
from ingest.models import ProviderEvent
from ingest.processing import process_ses

R, OTHER = "recipient@example.com", "other@example.com"
PUBLISHED = "2026-05-10T09:30:00.500Z"
MAIL_TIME = "2017-08-05T00:40:02.012000+00:00"
UNREADABLE = [
    *(None, "", " ", "yesterday", "2026-13-01T00:00:00Z", 1501893662669, 1501893662.669, True),
    *([], {}, ["2026-05-10T09:30:00Z"], "1501893662669", "2026-05-10T09:30:00", "2026-05-10"),
    *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"),
    *("1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "\ud83d", "2026-05-10T09:30:00+99:00"),
]
READABLE = {
    "2018-10-08T14:05:45 +0000": "2018-10-08T14:05:45+00:00",
    "2018-10-08T14:05:45 -0700": "2018-10-08T21:05:45+00:00",
    "2018-10-08 14:05:45 +00:00": "2018-10-08T14:05:45+00:00",
    "2018-10-08T14:05:45.123456789Z": "2018-10-08T14:05:45.123456+00:00",
    "2018-10-08t14:05:45z": "2018-10-08T14:05:45+00:00",
    " 2018-10-08T14:05:45Z ": "2018-10-08T14:05:45+00:00",
    "20181008T140545Z": "2018-10-08T14:05:45+00:00",
}
KINDS = {
    "delivery": "delivery",
    "delivery_delay": "deliveryDelay",
    "bounce_permanent_general": "bounce",
    "complaint_abuse": "complaint",
    "open": "open",
    "click": "click",
}


@pytest.fixture
def ingest_published(db):
    """Process an event that SNS published at this time."""

    def ingest(event, timestamp=PUBLISHED):
        row = ProviderEvent.objects.create(
            source="ses",
            event_id=str(uuid4()),
            next_attempt_at=timezone.now() - timedelta(minutes=1),
            body=json.dumps({"Message": json.dumps(event), "Timestamp": timestamp}),
        )
        assert process_ses().claimed == 1
        row.refresh_from_db()
        return row

    return ingest


def suppressions():
    return dict(Suppression.objects.values_list("email", "origin"))


def occurred_at():
    return EmailEvent.objects.get().occurred_at


@pytest.mark.parametrize("value", UNREADABLE, ids=repr)
def test_an_event_without_a_readable_time_happened_when_it_was_published(
    value, sample, make_email, ingest_published
):
    event = sample("bounce_permanent_general")
    event["bounce"]["timestamp"] = event["mail"]["timestamp"] = value
    make_email()

    row = ingest_published(event)

    assert (row.state, row.reason) == ("processed", "")
    assert occurred_at() == datetime.fromisoformat(PUBLISHED)
    assert EmailRecipient.objects.get(address=R).status_at == datetime.fromisoformat(PUBLISHED)
    assert Email.objects.get().sent_at == datetime.fromisoformat(PUBLISHED)
    assert suppressions() == {R: "bounce"}


@pytest.mark.parametrize("value", UNREADABLE, ids=repr)
def test_a_mail_time_is_the_next_best(value, sample, make_email, ingest_published):
    event = sample("bounce_permanent_general")
    event["bounce"]["timestamp"] = value
    make_email()

    ingest_published(event)

    assert occurred_at() == datetime.fromisoformat(MAIL_TIME)


@pytest.mark.parametrize("name", [*KINDS, "send", "reject", "rendering_failure"])
def test_every_kind_of_event_may_be_without_times(name, sample, make_email, ingest_published):
    event = sample(name)
    event.get(KINDS.get(name, ""), {}).pop("timestamp", None)
    del event["mail"]["timestamp"]
    make_email()

    row = ingest_published(event)

    assert (row.state, row.reason) == ("processed", "")
    assert occurred_at() == datetime.fromisoformat(PUBLISHED)


@pytest.mark.parametrize(("value", "moment"), [*READABLE.items()])
def test_times_are_read_in_any_iso_format(value, moment, sample, make_email, ingest_published):
    event = sample("bounce_permanent_general")
    event["bounce"]["timestamp"] = value
    make_email()

    ingest_published(event)

    assert occurred_at() == datetime.fromisoformat(moment)


@pytest.mark.parametrize("timestamp", [None, "soon", 7])
def test_without_any_time_the_callbacks_arrival_counts(
    timestamp, sample, make_email, ingest_published
):
    event = sample("bounce_permanent_general")
    del event["bounce"]["timestamp"], event["mail"]["timestamp"]
    make_email()

    row = ingest_published(event, timestamp)

    assert occurred_at() == row.received_at


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("bounce_permanent_general", ["BOUNCE", "bounce", " Bounce "]),
        ("delivery_delay", ["DELIVERY_DELAY", "deliverydelay", "Delivery Delay"]),
        ("rendering_failure", ["RENDERING_FAILURE", "rendering failure", "RenderingFailure"]),
        ("complaint_abuse", ["COMPLAINT"]),
        ("send", ["SEND"]),
    ],
)
@pytest.mark.parametrize("key", ["eventType", "notificationType"])
def test_event_types_are_compared_without_case(
    name, spellings, key, sample, make_email, ingest_events
):
    make_email()
    kinds = set()
    for spelling in spellings:
        event = sample(name)
        del event["eventType"]
        (row,) = ingest_events(event | {key: spelling})
        assert row.state == "processed"
        kinds.add(row.type)

    assert kinds == {sample(name)["eventType"]}
    assert EmailEvent.objects.count() == 1


@pytest.mark.parametrize("spelling", ["PERMANENT", "permanent", " Permanent ", "PerManent"])
def test_bounce_types_are_compared_without_case(
    spelling, sample, make_email, ingest_events, published
):
    event = sample("bounce_permanent_general")
    event["bounce"] |= {"bounceType": spelling, "bounceSubType": "NOEMAIL"}
    make_email()

    ingest_events(event)

    assert EmailRecipient.objects.get(address=R).status == "bounced"
    assert suppressions() == {R: "bounce"}
    bounce = published("email.bounced")[0][1]["bounce"]
    assert (bounce["type"], bounce["subType"]) == ("Permanent", "NoEmail")


@pytest.mark.parametrize("spelling", ["UNSUBSCRIBEDRECIPIENT", "unsubscribed_recipient"])
def test_bounce_subtypes_are_compared_without_case(spelling, sample, make_email, ingest_events):
    event = sample("bounce_permanent_unsubscribed_recipient")
    event["bounce"]["bounceSubType"] = spelling
    make_email()

    ingest_events(event)

    assert suppressions() == {R: "unsubscribed"}


@pytest.mark.parametrize("entry", [{"action": "DELAYED"}, {"status": " 4.4.1 "}])
def test_temporary_entries_are_recognised_in_any_spelling(entry, sample, make_email, ingest_events):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"] = [{"emailAddress": R} | entry]
    make_email()

    ingest_events(event)

    assert not suppressions()


NOT_SPAM = ["not-spam", "Not-Spam", "NOT_SPAM", "not spam", "NOTSPAM"]


@pytest.mark.parametrize("spelling", NOT_SPAM)
def test_not_spam_is_no_complaint(spelling, api, sample, make_email, ingest_events, published):
    event = sample("complaint_not_spam")
    event["complaint"]["complaintFeedbackType"] = spelling
    email = make_email(status="delivered")

    ingest_events(event)

    (listed,) = api.get(f"/emails/{email.pk}/events").json()["data"]
    assert (listed["type"], listed["recipient"]) == ("not_spam", R)
    assert EmailRecipient.objects.get(address=R).status == "delivered"
    assert not suppressions()
    assert not published()


@pytest.mark.parametrize("order", [*permutations(["complaint_not_spam", "complaint_abuse"])])
@pytest.mark.parametrize("together", [True, False])
def test_not_spam_does_not_take_the_place_of_a_complaint(
    order, together, sample, make_email, ingest_events, published
):
    events = [sample(name) for name in order]
    assert len({event["complaint"]["feedbackId"] for event in events}) == 1
    make_email()

    if together:
        ingest_events(*events, *events)
    else:
        for event in (*events, *events):
            ingest_events(event)

    facts = EmailEvent.objects.order_by("type").values_list("type", "status")
    assert list(facts) == [("complained", "complained"), ("not_spam", "")]
    assert EmailRecipient.objects.get(address=R).status == "complained"
    assert suppressions() == {R: "complaint"}
    assert len(published("email.complained")) == 1


# Details of another type than text, and the text that they become.
DETAILS = [(None, ""), (421, "421"), (4.2, "4.2"), (True, "true"), (["a", None], '["a",null]')]
DETAILS += [({"code": 421}, '{"code":421}'), ("None", "None"), ("", "")]


@pytest.mark.parametrize(("value", "text"), DETAILS)
@pytest.mark.parametrize(
    ("name", "key", "field"),
    [
        ("delivery", "delivery", "smtpResponse"),
        ("delivery", "delivery", "reportingMTA"),
        ("delivery_delay", "deliveryDelay", "delayType"),
        ("bounce_permanent_general", "bounce", "bounceSubType"),
        ("bounce_permanent_general", "bounce", "feedbackId"),
        ("complaint_abuse", "complaint", "complaintFeedbackType"),
        ("complaint_abuse", "complaint", "complaintSubType"),
        ("complaint_abuse", "complaint", "userAgent"),
        ("reject", "reject", "reason"),
        ("rendering_failure", "failure", "errorMessage"),
        ("rendering_failure", "failure", "templateName"),
        ("open", "open", "ipAddress"),
        ("open", "open", "userAgent"),
        ("click", "click", "link"),
        ("click", "click", "linkTags"),
    ],
)
def test_details_of_any_type_become_text(
    value, text, name, key, field, api, sample, make_email, ingest_events, published
):
    event = sample(name)
    event[key][field] = value
    for entry in event[key].get("delayedRecipients", []):
        entry.pop("diagnosticCode", None)
    email = make_email()

    (row,) = ingest_events(event)

    # The catalogue's schema is checked with every event that is published.
    assert (row.state, row.reason) == ("processed", "")
    detail = EmailRecipient.objects.get(address=R).detail
    if field in ("smtpResponse", "delayType"):
        assert detail == text
    if value != "None":
        assert "None" not in detail
        assert "None" not in json.dumps(published())
    (listed,) = api.get(f"/emails/{email.pk}/events").json()["data"]
    assert listed["data"][field] == value


@pytest.mark.parametrize(("value", "text"), DETAILS)
def test_a_diagnostic_code_of_any_type_becomes_text(
    value, text, sample, make_email, ingest_events, published
):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"][0] |= {"diagnosticCode": value, "status": value}
    make_email()

    ingest_events(event)

    bounce = published("email.bounced")[0][1]["bounce"]
    assert bounce["message"] == text or bounce["message"] == "Permanent bounce: General"
    assert EmailRecipient.objects.get(address=R).detail == (text or "General")


@pytest.mark.parametrize("value", ["fast", None, [], {}, 1e30, -1e30, 10**40, 12.5, "600", True])
def test_numbers_are_published_as_documented_or_not_at_all(
    value, sample, make_email, ingest_events, published
):
    event = sample("delivery")
    event["delivery"]["processingTimeMillis"] = value
    make_email()

    (row,) = ingest_events(event)

    assert row.state == "processed"
    published_value = published("email.delivered")[0][1]["delivery"].get("processingTimeMillis", 0)
    assert isinstance(published_value, int)
    assert -(2**63) <= published_value < 2**63
