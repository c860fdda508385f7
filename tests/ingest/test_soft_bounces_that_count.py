"""Which soft bounces count towards a suppression: those about the mailbox, of undelivered mail."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts.models import Contact, Suppression
from contacts.suppressions import SuppressionRequest, suppress

R = "recipient@example.com"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def reports(sample, make_email):
    """`reports(day)`: an email of that day, and the reports of its bounce and its delivery."""

    def build(day, to=(R,), **bounce):
        at, message_id = START + timedelta(days=day), f"mail-{day}"
        entry = {"emailAddress": R} | bounce.pop("entry", {})
        bounced, delivered = sample("bounce_transient_general"), sample("delivery")
        for event in (bounced, delivered):
            event["mail"] |= {"messageId": message_id, "timestamp": at.isoformat()}
        bounced["bounce"] |= {
            "timestamp": (at + timedelta(minutes=5)).isoformat(),
            "feedbackId": message_id,
            "bouncedRecipients": [entry],
            **bounce,
        }
        delivered["delivery"] |= {"timestamp": at.isoformat(), "recipients": [R]}
        make_email(to=to, provider_message_id=message_id)
        return bounced, delivered

    return build


def origins():
    return dict(Suppression.objects.values_list("email", "origin"))


COUNTS = [
    ("Transient", "General", {}),
    ("Transient", "General", {"status": "4.4.7"}),
    ("Transient", "General", {"status": "4.0.0", "diagnosticCode": "smtp; 452 4.2.2 full"}),
    ("Transient", "General", {"diagnosticCode": "smtp; 450 10.5.7.1 is busy"}),
    ("Transient", "General", {"diagnosticCode": "smtp; 450 4.7.1.22 is busy"}),
    ("Transient", "MailboxFull", {}),
    ("Transient", "MailboxFull", {"status": "5.3.4"}),
    ("TRANSIENT", "mailbox_full", {}),
    ("Undetermined", "Undetermined", {}),
    (None, None, {}),
    ("Transient", "SomethingNew", {"status": "4.2.1"}),
    ("Transient", "SomethingNew", {"status": " 5.1.1 "}),
]
DOES_NOT_COUNT = [
    ("Transient", "MessageTooLarge", {}),
    ("Transient", "MESSAGETOOLARGE", {"status": "4.2.2"}),
    ("Transient", "ContentRejected", {}),
    ("Transient", "AttachmentRejected", {}),
    ("Transient", "CustomTimeoutExceeded", {}),
    ("Transient", "General", {"status": "5.3.4"}),
    ("Transient", "General", {"diagnosticCode": "smtp; 552 5.2.3 message too long"}),
    ("Transient", "General", {"diagnosticCode": "smtp; 554 5.7.1 looks like spam"}),
    ("Undetermined", "Undetermined", {"status": "5.6.0"}),
    ("Transient", "SomethingNew", {}),
    ("Transient", "SomethingNew", {"status": "4.4.1"}),
    ("Transient", "SomethingNew", {"status": "5.2.3"}),
]


@pytest.mark.parametrize(
    ("kind", "subtype", "entry", "counts"),
    [(*case, True) for case in COUNTS] + [(*case, False) for case in DOES_NOT_COUNT],
)
def test_only_bounces_about_the_mailbox_count(
    kind, subtype, entry, counts, reports, ingest_events, published
):
    for day in range(4):
        bounced, _ = reports(day, bounceType=kind, bounceSubType=subtype, entry=entry)
        ingest_events(bounced)

    assert origins() == ({R: "soft_bounces"} if counts else {})
    assert len(published("email.bounced")) == 4


@pytest.mark.parametrize("subtype", ["General", "MessageTooLarge", "MailboxFull"])
@pytest.mark.parametrize("order", ["delivery first", "bounce first", "all deliveries last"])
def test_bounces_of_delivered_mail_do_not_count(subtype, order, reports, ingest_events):
    pairs = [reports(day, bounceSubType=subtype) for day in range(3)]
    for bounced, delivered in pairs:
        if order == "delivery first":
            ingest_events(delivered)
        ingest_events(bounced)
        if order == "bounce first":
            ingest_events(delivered)
    if order == "all deliveries last":
        ingest_events(*(delivered for _, delivered in pairs))

    assert not origins()


def test_a_late_delivery_removes_the_suppression_visibly(reports, ingest_events, published):
    pairs = [reports(day) for day in range(3)]
    ingest_events(*(bounced for bounced, _ in pairs))
    assert origins() == {R: "soft_bounces"}

    ingest_events(pairs[0][1])

    assert not origins()
    (_, data), *others = published("suppression.removed")
    assert (data["email"], data["origin"], others) == (R, "soft_bounces", [])


def test_the_next_cause_replaces_a_refuted_one(reports, ingest_events, published):
    pairs = [reports(day) for day in range(4)]
    ingest_events(*(bounced for bounced, _ in pairs))
    third = Suppression.objects.get()

    ingest_events(pairs[1][1])

    fourth = Suppression.objects.get()
    assert fourth.pk == third.pk
    assert fourth.created_at - third.created_at == timedelta(days=1)
    assert fourth.event_id != third.event_id
    assert fourth.email_id != third.email_id
    assert [kind for kind, _ in published("suppression.added", "suppression.removed")] == [
        "suppression.added"
    ]


def test_a_delivery_to_another_recipient_refutes_nothing(reports, ingest_events):
    pairs = [reports(day, to=(R, "other@example.com")) for day in range(3)]
    for _, delivered in pairs:
        delivered["delivery"]["recipients"] = ["other@example.com"]

    ingest_events(*(each for pair in pairs for each in pair))

    assert origins() == {R: "soft_bounces"}


def test_a_delivery_of_other_mail_refutes_nothing(reports, ingest_events):
    pairs = [reports(day) for day in range(4)]

    ingest_events(*(bounced for bounced, _ in pairs[:3]))
    ingest_events(pairs[3][1])

    assert origins() == {R: "soft_bounces"}


@pytest.mark.parametrize("origin", ["soft_bounces", "unsubscribed", "manual"])
def test_a_suppression_that_was_added_by_hand_stays(origin, workspace, reports, ingest_events):
    request = SuppressionRequest(workspace.pk, R, origin, at=START - timedelta(days=1))
    suppress([request])
    pairs = [reports(day) for day in range(3)]

    ingest_events(*(bounced for bounced, _ in pairs))
    ingest_events(*(delivered for _, delivered in pairs))

    assert origins() == {R: origin}


def test_a_suppression_that_an_operator_removed_does_not_return_with_a_delivery(
    reports, ingest_events
):
    pairs = [reports(day) for day in range(4)]
    ingest_events(*(bounced for bounced, _ in pairs))
    Suppression.objects.all().delete()

    ingest_events(pairs[0][1])

    assert not origins()


def test_a_stronger_origin_stays(reports, ingest_events, sample, make_email):
    make_email()
    pairs = [reports(day) for day in range(3)]
    ingest_events(*(bounced for bounced, _ in pairs), sample("bounce_permanent_general"))

    ingest_events(*(delivered for _, delivered in pairs))

    assert origins() == {R: "bounce"}


def test_an_unsubscribed_contact_stays_suppressed(workspace, reports, ingest_events):
    Contact.objects.create(workspace=workspace, email=R, unsubscribed=True)
    pairs = [reports(day) for day in range(3)]
    ingest_events(*(bounced for bounced, _ in pairs))

    ingest_events(pairs[0][1])

    assert origins() == {R: "unsubscribed"}


def outcome():
    return list(Suppression.objects.values_list("email", "origin", "created_at"))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_order_of_bounces_and_deliveries_gives_the_same_suppression(
    data, reports, ingest_events
):
    days = data.draw(st.lists(st.integers(0, 5), min_size=3, max_size=5, unique=True))
    refuted = data.draw(st.lists(st.sampled_from(days), max_size=3, unique=True))
    causes = data.draw(st.lists(st.sampled_from(["General", "ContentRejected"]), min_size=5))

    def run(order, sizes):
        with transaction.atomic():
            events = []
            for day, subtype in zip(days, causes, strict=False):
                bounced, delivered = reports(day, bounceSubType=subtype)
                events += [bounced, delivered] if day in refuted else [bounced]
            arranged = [events[index] for index in order if index < len(events)]
            for size in [*sizes, len(arranged)]:
                batch, arranged = arranged[:size], arranged[size:]
                if batch:
                    ingest_events(*batch)
            result = outcome()
            transaction.set_rollback(True)
        return result

    order = data.draw(st.permutations(range(10)))
    sizes = data.draw(st.lists(st.integers(1, 3), max_size=6))

    counted = sorted(
        day
        for day, subtype in zip(days, causes, strict=False)
        if day not in refuted and subtype == "General"
    )
    at = [START + timedelta(days=day, minutes=5) for day in counted[2:3]]
    assert run(order, sizes) == [(R, "soft_bounces", each) for each in at]


@pytest.mark.parametrize("order", list(permutations(range(4), 4))[::5])
def test_the_last_delivery_of_a_batch_is_as_good_as_the_first(order, reports, ingest_events):
    pairs = [reports(day) for day in range(3)]
    events = [pairs[0][1], *(bounced for bounced, _ in pairs)]

    for index in order:
        ingest_events(events[index])

    assert not origins()
