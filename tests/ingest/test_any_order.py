"""At-least-once, unordered delivery: the same facts always produce the same rows.

Property test: SES events about a few emails, in any order, with duplicates, in any batches.
"""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.services import create_workspace
from contacts.models import Contact, Suppression
from emails.models import Email, EmailEvent, EmailRecipient
from events.models import Event
from ingest.models import ProviderEvent
from ingest.processing import process_ses
from tests.database import make_due
from tests.factories import store_ses_events

SENT_AT = datetime(2026, 3, 1, 23, 50, tzinfo=UTC)
# Two emails share an address; one address is the simulator's, one has a capital letter.
RECIPIENTS = [
    ["ann@example.org", "Bob@example.org", "bounce@simulator.amazonses.com"],
    ["bob@example.org", "carl@xn--bcher-kva.example"],
    ["ann@example.org"],
]
STATUSES = ["sent", "unknown", "sending"]
KINDS = [
    *("send", "delivery", "delay", "hard", "soft", "soft", "soft", "undetermined", "temporary"),
    *("complaint", "not_spam", "reject", "failure", "open", "click", "leave"),
]
WITHOUT_ID = {"delivery", "delay"}  # SES has no id for these
FORWARDED = "forwarded@example.net"
SPELLINGS = [str, str.upper, lambda address: f"Some Name <{address}>"]


@st.composite
def ses_reports(draw, *, kinds, numbers):
    """One SES report, which may arrive in two variants."""
    number = draw(st.sampled_from(numbers))
    kind = draw(st.sampled_from(kinds))
    addresses = [*RECIPIENTS[number], FORWARDED]
    affected = draw(
        st.just(addresses[:1]) | st.lists(st.sampled_from(addresses), min_size=1, unique=True)
    )
    spelled = [draw(st.sampled_from(SPELLINGS))(address) for address in affected]
    days, seconds = draw(st.sampled_from([0, 0, 1, 2, 5, 29, 40])), draw(st.integers(0, 3))
    at = SENT_AT + timedelta(days=days, seconds=seconds)
    variants = draw(st.sampled_from([["tag"], ["header"], ["plain"], ["tag", "plain"]]))
    return number, kind, spelled, at, variants


def with_unique_times(drawn):
    """Make times unique where two messages for one address and time would be one fact."""
    return [
        (number, kind, spelled, at + timedelta(milliseconds=place * (kind in WITHOUT_ID)), variants)
        for place, (number, kind, spelled, at, variants) in enumerate(drawn)
    ]


def feedback(number, kind, spelled, at):
    return "-".join([str(number), kind, *spelled, at.isoformat()])


def sub_object(number, kind, spelled, at):
    """eventType, key and content, like the fixtures but with the drawn values."""
    stamp = at.isoformat().replace("+00:00", "Z")
    named = [{"emailAddress": each} for each in spelled]
    common = {"timestamp": stamp, "feedbackId": feedback(number, kind, spelled, at)}
    bounced = common | {"bounceSubType": "General", "bouncedRecipients": named}
    complained = common | {"complainedRecipients": named}
    match kind:
        case "send":
            return "Send", "send", {}
        case "delivery":
            return "Delivery", "delivery", {"timestamp": stamp, "recipients": spelled}
        case "delay":
            content = {"timestamp": stamp, "delayType": "General", "delayedRecipients": named}
            return "DeliveryDelay", "deliveryDelay", content
        case "hard":
            return "Bounce", "bounce", bounced | {"bounceType": "Permanent"}
        case "temporary":
            part = [{"emailAddress": each, "action": "delayed"} for each in spelled]
            content = bounced | {"bounceType": "Permanent", "bouncedRecipients": part}
            return "Bounce", "bounce", content
        case "soft":
            return "Bounce", "bounce", bounced | {"bounceType": "Transient"}
        case "undetermined":
            return "Bounce", "bounce", bounced | {"bounceType": "Undetermined"}
        case "complaint":
            return "Complaint", "complaint", complained | {"complaintFeedbackType": "abuse"}
        case "not_spam":
            return "Complaint", "complaint", complained | {"complaintFeedbackType": "not-spam"}
        case "reject":
            return "Reject", "reject", {"reason": "Bad content"}
        case "failure":
            return "Rendering Failure", "failure", {"errorMessage": "No such name."}
        case "open":
            return "Open", "open", {"timestamp": stamp, "userAgent": "Mozilla/5.0"}
        case "click":
            return "Click", "click", {"timestamp": stamp, "link": "https://example.com/"}
        case "leave":
            return "Subscription", "subscription", {"newTopicPreferences": {"unsubscribeAll": True}}
    raise AssertionError(kind)


def messages(emails, report):
    """The report as JSON, once for each format in which it arrives."""
    number, kind, spelled, at, variants = report
    name, key, content = sub_object(number, kind, spelled, at)
    for variant in variants:
        mail = {
            "timestamp": SENT_AT.isoformat(),
            "messageId": f"0100-{number}",
            "destination": spelled,
        }
        ours = str(emails[number].pk)
        if variant == "tag":
            mail["tags"] = {"opensend_email_id": [ours], "ses:operation": ["SendRawEmail"]}
        elif variant == "header":
            mail["headers"] = [{"name": "X-OpenSend-Email-ID", "value": ours}]
        type_key = "notificationType" if variant == "plain" else "eventType"
        yield json.dumps({type_key: name, "mail": mail, key: content})


def build(workspaces):
    """Three emails in two workspaces: one sent, one unknown, one sending."""
    emails = []
    for number, (to, status) in enumerate(zip(RECIPIENTS, STATUSES, strict=True)):
        email = Email.objects.create(
            workspace=workspaces[number == 2],
            region="us-east-1",
            sender="ada@example.com",
            to=to,
            subject=f"Number {number}",
            text="Hello",
            status=status,
            message_id=f"<{number}@example.com>",
            provider_message_id="0100-0" if number == 0 else "",
            created_at=SENT_AT,
            next_attempt_at=None if status == "sent" else timezone.now() + timedelta(minutes=9),
        )
        for address in to:
            state = "sent" if status == "sent" else "queued"
            EmailRecipient.objects.create(email=email, kind="to", address=address, status=state)
        emails.append(email)
    return emails


def run(bodies, batches):
    """Process the bodies in slices of these sizes, and the rest in one."""
    rest = list(bodies)
    for size in [*batches, len(rest)]:
        now, rest = rest[:size], rest[size:]
        if now:
            process(now)
    for _ in range(3):  # unmatched events are retried
        make_due(ProviderEvent.objects.filter(state="unmatched"))
        process_ses()


def process(bodies):
    store_ses_events(*bodies)
    assert process_ses().claimed >= len(bodies)


def outcome(emails):
    """The resulting rows, without values that differ between runs."""
    number = {email.pk: place for place, email in enumerate(emails)}
    return {
        "emails": [
            (row.status, row.provider_message_id, row.message_id, row.sent_at, row.next_attempt_at)
            if row.next_attempt_at is None
            else (row.status, "due")
            for row in Email.objects.order_by("subject")
        ],
        "recipients": sorted(
            (number[row.email_id], row.address, row.status, str(row.status_at), row.detail)
            for row in EmailRecipient.objects.all()
        ),
        "events": sorted(
            (
                *(number[row.email_id], row.type, row.recipient, row.status, row.fingerprint),
                *(str(row.occurred_at), json.dumps(row.payload, sort_keys=True)),
            )
            for row in EmailEvent.objects.all()
        ),
        "suppressions": sorted(
            (str(row.workspace_id), row.email, row.origin, number[row.email_id], row.created_at)
            for row in Suppression.objects.all()
        ),
        "contacts": sorted(Contact.objects.values_list("email", "unsubscribed")),
        "published": sorted(
            summary(row, number) for row in Event.objects.exclude(type__startswith="suppression.")
        ),
        "suppression events": suppression_events(),
    }


def suppression_events():
    """How often more each address was added than removed.

    A suppression by soft bounces is removed when one of these emails turns out to be delivered.
    """
    counts = Counter()
    for event in Event.objects.filter(type__startswith="suppression."):
        sign = 1 if event.type == "suppression.added" else -1
        counts[str(event.workspace_id), event.data()["email"]] += sign
    return sorted((*key, count) for key, count in counts.items() if count)


def summary(event, number):
    data = event.data()
    if event.type == "contact.created":
        return event.type, data["email"], data["unsubscribed"]
    return event.type, number[UUID(data["email_id"])], json.dumps(data, sort_keys=True)


def run_and_roll_back(workspaces, drawn, arrange, batches):
    with transaction.atomic():
        emails = build(workspaces)
        bodies = [body for each in drawn for body in messages(emails, each)]
        run(arrange(bodies), batches)
        result = outcome(emails)
        transaction.set_rollback(True)
    # Ids differ between runs, and some events contain them.
    text = json.dumps(result, default=str)
    for place, email in enumerate(emails):
        text = text.replace(str(email.pk), f"email-{place}")
    return json.loads(text)


@pytest.mark.django_db
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
@given(data=st.data())
def test_order_duplicates_and_batches_do_not_change_the_rows(workspace, data):
    workspaces = [workspace, create_workspace(name="Bob's")]
    # A few kinds and emails collide more often than all of them would.
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    numbers = data.draw(st.lists(st.integers(0, len(RECIPIENTS) - 1), min_size=1, max_size=3))
    several = st.lists(ses_reports(kinds=kinds, numbers=numbers), min_size=1, max_size=10)
    drawn = data.draw(several.map(with_unique_times))
    count = sum(len(each[4]) for each in drawn)
    order = data.draw(st.permutations(range(count)))
    repeated = data.draw(st.lists(st.integers(0, count - 1), max_size=6))
    places = [data.draw(st.integers(0, count)) for _ in repeated]
    batches = data.draw(st.lists(st.integers(1, 5), max_size=8))

    def shuffle(bodies):
        shuffled = [bodies[index] for index in order]
        for place, index in zip(places, repeated, strict=True):
            shuffled.insert(place, bodies[index])
        return shuffled

    expected = run_and_roll_back(workspaces, drawn, list, [])
    shuffled = run_and_roll_back(workspaces, drawn, shuffle, batches)

    for name, rows in expected.items():  # one by one: a difference is shown whole
        assert shuffled[name] == rows, name
