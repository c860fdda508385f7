"""Whatever JSON arrives as an event is recorded, quarantined or unmatched, and stays readable."""

import json
from contextlib import suppress

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contacts.models import Suppression
from emails.models import EmailEvent, EmailRecipient
from ingest.callbacks import Unparsable
from ingest.models import ProviderEvent
from ingest.ses_events import parse_event

R, OTHER = "recipient@example.com", "other@example.com"
SAMPLES = [
    *("send", "delivery", "delivery_delay", "bounce_permanent_general", "complaint_abuse"),
    *("bounce_transient_mailbox_full", "complaint_not_spam", "reject", "rendering_failure"),
    *("open", "click", "subscription_unsubscribe_all", "notification_bounce"),
]
TEXTS = st.text(st.characters(exclude_categories=()), max_size=8) | st.sampled_from(
    [
        *(R, f"Name <{OTHER.upper()}>", "forwarded@example.net", "redacted", "@", "delayed"),
        *("2026-03-01T12:00:00Z", "9999-12-31T23:59:59Z", "\ud83d", "\x00", "5.2.2"),
        *("Not-Spam", "PERMANENT"),
    ]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([1e30, 10**30, -(10**400), 2**64])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS | st.sampled_from(["emailAddress", "status"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(value, path=()):
    """Every place in the JSON, as the keys and indexes that lead there."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from paths(item, (*path, key))


def changed(event, path, value):
    inside = event
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return event


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_event_with_any_value_anywhere_is_kept_and_readable(
    data, sample, make_email, ingest_events, api
):
    event = sample(data.draw(st.sampled_from(SAMPLES)))
    # Mostly in the sub-object: the rest of `mail` has more places, but few of them are read.
    places = [path for path in paths(event) if path[:2] != ("mail", "headers")]
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places))
        event = changed(event, path, data.draw(VALUES))
        places = list(paths(event))
    to = data.draw(st.sampled_from([[R], [R, OTHER]]))

    with transaction.atomic():
        email = make_email(to=to)
        (row,) = ingest_events(json.dumps(event))
        assert row.state in ("processed", "quarantined", "unmatched")
        assert row.state != "quarantined" or row.reason
        # What is no recipient of the email is never suppressed.
        assert set(Suppression.objects.values_list("email", flat=True)) <= set(to)
        assert set(EmailEvent.objects.values_list("recipient", flat=True)) <= {*to, ""}
        for detail in EmailRecipient.objects.values_list("detail", flat=True):
            assert "None" not in detail
        for page in ("events", "trace"):
            answer = api.get(f"/emails/{email.pk}/{page}")
            assert answer.status_code == 200
        ProviderEvent.objects.all().delete()
        transaction.set_rollback(True)


@settings(max_examples=300)
@given(VALUES, VALUES, st.sampled_from(SAMPLES))
@example({}, [], "send")
def test_the_parser_only_raises_unparsable(mail, body, name):
    for event in (
        mail,
        {"eventType": name, "mail": mail, "bounce": body},
        {"eventType": "Bounce", "mail": {"messageId": "x", "tags": mail}, "bounce": body},
        {
            "eventType": "Bounce",
            "mail": {"messageId": "x", "headers": [mail]},
            "bounce": {"": body},
        },
    ):
        with suppress(Unparsable):
            parse_event(json.dumps(event))


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (r'"smtp; 550 no \ud83d"', "smtp; 550 no \ufffd"),
        (r'"\ude00\ud83d smtp"', "\ufffd\ufffd smtp"),
        (r'"smtp \ud83d\ude00"', "smtp \U0001f600"),
        (r'"smtp; 550 \u0000 gone"', "smtp; 550 \ufffd gone"),
        (r'"smtp \u0000\ud83d"', "smtp \ufffd\ufffd"),
        ('"smtp; 550\t\x01gone"', "smtp; 550\t\x01gone"),
    ],
)
def test_what_is_not_text_becomes_a_replacement_character(
    part, text, sample, make_email, ingest_events, published, api
):
    event = sample("bounce_permanent_general")
    event["bounce"]["bouncedRecipients"][0]["diagnosticCode"] = "DIAGNOSIS"
    email = make_email()

    (row,) = ingest_events(json.dumps(event).replace('"DIAGNOSIS"', part))

    assert (row.state, row.reason) == ("processed", "")
    assert EmailRecipient.objects.get(address=R).detail == text
    assert published("email.bounced")[0][1]["bounce"]["diagnosticCode"] == text
    (listed,) = api.get(f"/emails/{email.pk}/events").json()["data"]
    assert listed["data"]["bouncedRecipients"][0]["diagnosticCode"] == text


@pytest.mark.parametrize(
    "path",
    [
        ("bounce", "feedbackId"),
        ("bounce", "bounceSubType"),
        ("bounce", "\ud83d"),
        ("bounce", "nested", "\ud83d", "\ude00"),
        ("mail", "tags", "\ud83d"),
        ("mail", "commonHeaders", "subject"),
        ("mail", "timestamp"),
        ("\ud83d",),
    ],
    ids=repr,
)
def test_lone_surrogates_anywhere_lose_nothing(path, sample, make_email, ingest_events):
    event = sample("bounce_permanent_general")
    inside = event
    for key in path[:-1]:
        inside = inside.setdefault(key, {})
    inside[path[-1]] = "a\ud83d"
    make_email()

    (row,) = ingest_events(json.dumps(event))

    assert (row.state, row.reason) == ("processed", "")
    assert EmailRecipient.objects.get(address=R).status == "bounced"


@pytest.mark.parametrize("number", ["1e30", "-1e30", "1e400", "9" * 30, "9" * 5000, "NaN", "1e-9"])
@pytest.mark.parametrize("key", ["processingTimeMillis", "unknownField"])
def test_numbers_of_any_size_are_bounded(
    number, key, sample, make_email, ingest_events, api, published
):
    event = sample("delivery")
    event["delivery"][key] = "NUMBER"
    email = make_email()

    (row,) = ingest_events(json.dumps(event).replace('"NUMBER"', number))

    assert row.state == "processed"
    stored = EmailEvent.objects.get().payload[key]
    assert stored is None or -(2**63) <= stored < 2**63
    (listed,) = api.get(f"/emails/{email.pk}/events").json()["data"]
    assert listed["data"][key] == stored
    assert len(published("email.delivered")) == 1


@pytest.mark.parametrize("levels", [90, 110, 300, 900])
@pytest.mark.parametrize("name", ["delivery", "complaint_not_spam"])
def test_deep_nesting_is_cut(levels, name, sample, make_email, ingest_events, api):
    event, key = sample(name), name.split("_")[0]
    event[key]["deep"] = "DEEP"
    email = make_email()

    (row,) = ingest_events(json.dumps(event).replace('"DEEP"', "[" * levels + "]" * levels))

    assert row.state == "processed"
    assert api.get(f"/emails/{email.pk}/events").status_code == 200
    assert api.get(f"/emails/{email.pk}/trace").status_code == 200


def test_a_message_id_that_no_email_can_have_is_quarantined(sample, make_email, ingest_events):
    event, email = sample("delivery"), make_email(provider_message_id="")
    event["mail"] |= {"messageId": "x" * 201, "tags": {"opensend_email_id": [str(email.pk)]}}

    (row,) = ingest_events(event)

    assert (row.state, row.reason) == ("quarantined", "mail.messageId has more than 200 characters")
