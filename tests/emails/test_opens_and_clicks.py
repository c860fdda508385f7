"""Hits are classified, counted and published once each, humans apart from machines."""

import time
from datetime import timedelta

import pytest
from django.test import RequestFactory
from django.utils import timezone

from core.db import bulk
from core.db.ids import uuid7
from emails.facts import opens_and_clicks
from emails.facts.opens_and_clicks import MAX_PER_EMAIL, record_hits
from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailEvent
from tests.database import statement_count
from tracking import click_bursts
from tracking.hits import hit
from tracking.models import Hit
from tracking.tokens import HONEYPOT, Click, Open

pytestmark = pytest.mark.django_db

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"
COUNTS = ("opens", "human_opens", "clicks", "human_clicks")


@pytest.fixture
def email(accepted):
    """An email that was sent an hour ago."""
    row = accepted(html="<p>Hi</p>")
    hour_ago = timezone.now() - timedelta(hours=1)
    Email.objects.update(status="sent", sent_at=hour_ago, next_attempt_at=None)
    row.recipients.update(status="sent", status_at=hour_ago)
    return row


@pytest.fixture
def add_hit(email):
    """`add_hit(3, after=1.5)`: a click on link 3, 1.5 s after the start; an open without link."""
    start = timezone.now() - timedelta(minutes=10)

    def add_hit(link=None, *, after=0.0, agent=BROWSER, ip="203.0.113.9", links=5, **changes):
        recipient = changes.pop("recipient", email.recipients.get().pk)
        token = Open(email.pk, recipient)
        if link is not None:
            target = f"https://a.test/{link}" if link else ""
            token = Click(email.pk, recipient, link, links, target)
        request = RequestFactory(headers={"User-Agent": agent}).get("/", REMOTE_ADDR=ip)
        row = hit(request, token)
        row.at = start + timedelta(seconds=after)
        row.next_attempt_at = start
        for name, value in changes.items():
            setattr(row, name, value)
        row.save()
        return row

    return add_hit


def counts(email):
    return tuple(Email.objects.values_list(*COUNTS).get(pk=email.pk))


def verdicts():
    return [(each.verdict, each.reasons) for each in Hit.objects.order_by("at", "pk")]


HUMAN = ("human", [])


def machine(*reasons):
    return ("machine", list(reasons))


# --- Facts and counts ---------------------------------------------------------------------------


def test_an_open_is_published_counted_and_stored(add_hit, email, published, api):
    row = add_hit()
    assert record_hits().claimed == 1
    ((name, data),) = published("email.opened")
    at = row.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{row.at.microsecond // 1000:03}Z"
    expected = {
        "timestamp": at,
        "userAgent": BROWSER,
        "machine": False,
        "verdict": "human",
        "reasons": [],
    }
    assert (name, data["recipient"], data["open"]) == ("email.opened", "bob@example.net", expected)
    shown = api.get(f"/emails/{email.pk}").json()
    assert {column: shown[column] for column in COUNTS} == {
        "opens": 1,
        "human_opens": 1,
        "clicks": 0,
        "human_clicks": 0,
    }
    (event,) = api.get(f"/emails/{email.pk}/events").json()["data"]
    assert (event["type"], event["data"]) == ("opened", expected)
    (entry,) = api.get(f"/emails/{email.pk}/trace").json()["entries"]
    assert (entry["type"], entry["event"]["type"]) == ("opened", "email.opened")


def test_a_click_contains_its_link(add_hit, email, published):
    add_hit(2)
    record_hits()
    ((_, data),) = published("email.clicked")
    assert (data["click"]["link"], data["click"]["linkTags"]) == ("https://a.test/2", None)
    assert data["click"]["machine"] is False
    assert counts(email) == (0, 0, 1, 1)


def test_the_network_of_a_reader_is_not_published(add_hit, email, published):
    add_hit(1, ip="203.0.113.9")
    record_hits()
    assert Hit.objects.get().network == "203.0.113.0"
    assert "203.0.113" not in str(published())
    assert "203.0.113" not in str(list(EmailEvent.objects.values()))


def test_machines_are_published_and_counted_separately(add_hit, email, published):
    add_hit(agent="curl/8.5.0")
    add_hit(after=5)
    record_hits()
    opens = [data["open"] for _, data in published("email.opened")]
    assert [(each["machine"], each["reasons"]) for each in opens] == [
        (True, ["script"]),
        (False, []),
    ]
    assert counts(email) == (2, 1, 0, 0)


def test_each_hit_is_recorded_once(add_hit, email, published):
    row = add_hit()
    add_hit(after=5)
    record_hits()
    assert record_hits().claimed == 0
    # As if the settlement was lost after the facts were recorded.
    Hit.objects.filter(pk=row.pk).update(verdict="", next_attempt_at=row.next_attempt_at)
    record_hits()
    assert len(published("email.opened")) == 2
    assert counts(email) == (2, 2, 0, 0)


def test_a_worker_that_lost_its_lease_records_nothing(add_hit, email, published, monkeypatch):
    add_hit()
    original = opens_and_clicks.classify_hits

    def slow_classify(*args):
        Hit.objects.update(claims=2)  # another worker has claimed it meanwhile
        return original(*args)

    monkeypatch.setattr(opens_and_clicks, "classify_hits", slow_classify)
    assert record_hits().claimed == 1
    assert (published("email.opened"), Hit.objects.get().verdict) == ([], "")


def test_opens_reported_by_ses_are_counted(email):
    def opened(key, machine):
        data = {"machine": machine}
        fields = {"email_id": email.pk, "type": "opened", "occurred_at": timezone.now()}
        return EmailFact(**fields, key=key, payload=data, event_data={"open": data})

    record_facts([opened("a", True)] * 2)
    record_facts([opened("a", True), opened("b", False)])
    assert counts(email) == (2, 1, 0, 0)


def test_one_of_several_recipients_is_not_named(accepted, add_hit, published, email):
    Email.objects.filter(pk=email.pk).update(to=["a@example.net", "b@example.net"])
    add_hit(recipient=None)
    record_hits()
    ((_, data),) = published("email.opened")
    assert "recipient" not in data


def test_hits_of_a_deleted_email_are_settled(add_hit, email, published):
    add_hit()
    Email.objects.all().delete()
    assert record_hits().claimed == 1
    assert verdicts() == [HUMAN]
    assert not published("email.opened")


def test_a_poisoned_hit_is_given_up(add_hit, email, published):
    add_hit(crashes=5)
    assert record_hits().claimed == 1
    assert (record_hits().claimed, published("email.opened")) == (0, [])


def test_the_number_of_recorded_clicks_is_limited(add_hit, email, published):
    Email.objects.update(clicks=MAX_PER_EMAIL)
    add_hit(1)
    add_hit(after=5)
    assert record_hits().claimed == 2
    assert [name for name, _ in published("email.opened", "email.clicked")] == ["email.opened"]
    assert counts(email) == (1, 1, MAX_PER_EMAIL, 0)


def test_an_open_proves_that_the_email_was_sent(add_hit, email):
    Email.objects.update(status="unknown", sent_at=None, next_attempt_at=timezone.now())
    email.recipients.update(status="queued", status_at=None)
    row = add_hit()
    record_hits()
    email.refresh_from_db()
    assert (email.status, email.sent_at, email.next_attempt_at) == ("sent", row.at, None)


def test_the_number_of_statements_does_not_grow_with_the_batch(add_hit, email):
    add_hit(1)
    one = statement_count(record_hits)
    for number in range(40):
        add_hit(number % 5 + 1, after=10 * number)
    assert statement_count(record_hits) == one


def test_a_flood_of_clicks_is_classified_quickly(add_hit, email):
    row = add_hit(1)
    many = [
        Hit(
            **{
                field.attname: getattr(row, field.attname)
                for field in Hit._meta.concrete_fields
                if field.attname not in ("id", "at", "link")
            },
            link=1 + number % 2,
            at=row.at + timedelta(microseconds=100 * number),
        )
        for number in range(6000)
    ]
    bulk.insert(many)
    started = time.process_time()
    assert record_hits().claimed == 500
    assert time.process_time() - started < 2


# --- Verdicts -----------------------------------------------------------------------------------


def test_a_human_opens_and_clicks(add_hit):
    add_hit()
    add_hit(1, after=4)
    add_hit(2, after=5.2)
    add_hit(2, after=5.9)
    record_hits()
    assert verdicts() == [HUMAN] * 4


@pytest.mark.parametrize(
    ("links", "followed"),
    [(2, [1, 2]), (3, [1, 2, 3]), (40, [7, 8, 9]), (1, None), (5, None)],
)
def test_clicks_on_all_links_at_once_are_by_machines(add_hit, links, followed):
    for place, number in enumerate(followed or [1, 1, 1]):
        add_hit(number, after=0.45 * place, links=links, ip=f"203.0.{place}.9")
    record_hits()
    assert verdicts() == [machine("links_at_once") if followed else HUMAN] * len(verdicts())


def test_a_burst_is_any_one_second(add_hit):
    add_hit(1)
    for number, after in ((2, 9.0), (3, 9.5), (4, 9.9)):
        add_hit(number, after=after)
    add_hit(5, after=30)
    record_hits()
    assert verdicts() == [HUMAN, *[machine("links_at_once")] * 3, HUMAN]


def test_only_the_newest_clicks_are_considered(add_hit, monkeypatch):
    monkeypatch.setattr(click_bursts, "MAX_CLICKS_READ", 2)
    for number in (1, 2, 3):
        add_hit(number, after=0.1 * number)
    record_hits()
    assert verdicts() == [HUMAN] * 3


def test_clicks_of_several_recipients_are_no_burst(add_hit, email):
    others = [uuid7(), uuid7()]
    for number, one in enumerate([email.recipients.get().pk, *others], start=1):
        add_hit(number, recipient=one, after=0.1 * number)
    for number in (1, 2, 3):  # in a message that all of them got
        add_hit(number, recipient=None, ip=f"203.0.{number}.1", after=0.1 * number)
    record_hits()
    assert {verdict for verdict, _ in verdicts()} == {"human"}


def test_a_click_on_the_hidden_link_is_by_a_machine(add_hit, email, published):
    add_hit(5, after=-1)
    add_hit(1)
    add_hit(HONEYPOT, after=1.5)
    add_hit(after=20)
    add_hit(2, after=50)
    add_hit(3, after=50, ip="198.51.100.1")
    add_hit(4, after=90)
    record_hits()
    honeypot = machine("hidden_link")
    assert verdicts() == [HUMAN, honeypot, honeypot, honeypot, honeypot, HUMAN, HUMAN]
    # The honeypot itself is evidence, not a click on a link of the email.
    assert len(published("email.clicked")) == 5
    assert counts(email) == (1, 0, 5, 3)


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(2.9, machine("right_after_sending")), (3.1, HUMAN)]
)
def test_a_click_right_after_sending_is_by_a_machine(add_hit, email, seconds, verdict):
    row = add_hit(1)
    Email.objects.update(sent_at=row.at - timedelta(seconds=seconds))
    record_hits()
    assert verdicts() == [verdict]


def test_reasons_from_the_request_are_kept(add_hit, email):
    add_hit(1, reasons=["head_request"], agent="curl/8")
    add_hit(agent="", after=9)
    record_hits()
    assert verdicts() == [machine("head_request", "script"), ("unknown", ["no_user_agent"])]
