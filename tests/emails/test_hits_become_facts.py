"""Opens and clicks judged, counted and told: once each, and people apart from machines."""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.db import bulk
from core.db.ids import uuid7
from emails.facts import opens_and_clicks
from emails.facts.opens_and_clicks import MOST, record_hits
from emails.facts.record import EmailFact, record_facts
from emails.models import Email, EmailEvent
from tracking import click_bursts
from tracking.hits import hit
from tracking.models import Hit
from tracking.tokens import HONEYPOT, Click, Open

pytestmark = pytest.mark.django_db

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"
COUNTS = ("opens", "human_opens", "clicks", "human_clicks")


@pytest.fixture
def email(accepted):
    """A mail with five links that was sent an hour ago."""
    row = accepted(html="<p>Hi</p>")
    hour_ago = timezone.now() - timedelta(hours=1)
    Email.objects.update(status="sent", sent_at=hour_ago, next_attempt_at=None)
    row.recipients.update(status="sent", status_at=hour_ago)
    return row


@pytest.fixture
def come(email):
    """`come(3, after=1.5)`: the third link is followed that many seconds after the first hit."""
    start = timezone.now() - timedelta(minutes=10)

    def come(link=None, *, after=0.0, agent=BROWSER, ip="203.0.113.9", links=5, **changes):
        one = changes.pop("recipient", email.recipients.get().pk)
        said = Open(email.pk, one)
        if link is not None:
            target = f"https://a.test/{link}" if link else ""
            said = Click(email.pk, one, link, links, target)
        request = RequestFactory(headers={"User-Agent": agent}).get("/", REMOTE_ADDR=ip)
        row = hit(request, said)
        row.at = start + timedelta(seconds=after)
        row.next_attempt_at = start
        for name, value in changes.items():
            setattr(row, name, value)
        row.save()
        return row

    return come


def counts(email):
    return tuple(Email.objects.values_list(*COUNTS).get(pk=email.pk))


def verdicts():
    return [(each.verdict, each.reasons) for each in Hit.objects.order_by("at", "pk")]


HUMAN = ("human", [])


def machine(*reasons):
    return ("machine", list(reasons))


# --- What is told -------------------------------------------------------------------------------


def test_an_open_is_published_counted_and_kept(come, email, published, api):
    row = come()
    assert record_hits() == 1
    ((name, data),) = published("email.opened")
    at = row.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{row.at.microsecond // 1000:03}Z"
    told = {
        "timestamp": at,
        "userAgent": BROWSER,
        "machine": False,
        "verdict": "human",
        "reasons": [],
    }
    assert (name, data["recipient"], data["open"]) == ("email.opened", "bob@example.net", told)
    shown = api.get(f"/emails/{email.pk}").json()
    assert {column: shown[column] for column in COUNTS} == {
        "opens": 1,
        "human_opens": 1,
        "clicks": 0,
        "human_clicks": 0,
    }
    (event,) = api.get(f"/emails/{email.pk}/events").json()["data"]
    assert (event["type"], event["data"]) == ("opened", told)
    (entry,) = api.get(f"/emails/{email.pk}/trace").json()["entries"]
    assert (entry["type"], entry["event"]["type"]) == ("opened", "email.opened")


def test_a_click_tells_its_link(come, email, published):
    come(2)
    record_hits()
    ((_, data),) = published("email.clicked")
    assert (data["click"]["link"], data["click"]["linkTags"]) == ("https://a.test/2", None)
    assert data["click"]["machine"] is False
    assert counts(email) == (0, 0, 1, 1)


def test_no_address_of_a_reader_is_in_what_is_told(come, email, published):
    come(1, ip="203.0.113.9")
    record_hits()
    assert Hit.objects.get().network == "203.0.113.0"
    assert "203.0.113" not in str(published())
    assert "203.0.113" not in str(list(EmailEvent.objects.values()))


def test_machines_are_told_and_counted_apart(come, email, published):
    come(agent="curl/8.5.0")
    come(after=5)
    record_hits()
    told = [data["open"] for _, data in published("email.opened")]
    assert [(each["machine"], each["reasons"]) for each in told] == [
        (True, ["script"]),
        (False, []),
    ]
    assert counts(email) == (2, 1, 0, 0)


def test_each_hit_is_told_once(come, email, published):
    row = come()
    come(after=5)
    record_hits()
    assert record_hits() == 0
    # A worker that died behind its commit, and one whose lease ran out before it.
    Hit.objects.filter(pk=row.pk).update(verdict="", next_attempt_at=row.next_attempt_at)
    record_hits()
    assert len(published("email.opened")) == 2
    assert counts(email) == (2, 2, 0, 0)


def test_a_worker_that_lost_its_lease_tells_nothing(come, email, published, monkeypatch):
    come()
    genuine = opens_and_clicks.classify_hits

    def slowly(*given):
        Hit.objects.update(claims=2)  # another worker has it meanwhile
        return genuine(*given)

    monkeypatch.setattr(opens_and_clicks, "classify_hits", slowly)
    assert record_hits() == 1
    assert (published("email.opened"), Hit.objects.get().verdict) == ([], "")


def test_ses_counts_as_well(email):
    def opened(key, machine):
        told = {"machine": machine}
        facts = {"email_id": email.pk, "type": "opened", "occurred_at": timezone.now()}
        return EmailFact(**facts, key=key, payload=told, webhook={"open": told})

    record_facts([opened("a", True)] * 2)
    record_facts([opened("a", True), opened("b", False)])
    assert counts(email) == (2, 1, 0, 0)


def test_one_of_several_recipients_is_not_named(accepted, come, published, email):
    Email.objects.filter(pk=email.pk).update(to=["a@example.net", "b@example.net"])
    come(recipient=None)
    record_hits()
    ((_, data),) = published("email.opened")
    assert "recipient" not in data


def test_hits_of_mail_that_is_gone_are_done_with(come, email, published):
    come()
    Email.objects.all().delete()
    assert record_hits() == 1
    assert verdicts() == [HUMAN]
    assert not published("email.opened")


def test_a_hit_that_its_workers_died_over_is_given_up(come, email, published):
    come(crashes=5)
    assert record_hits() == 1
    assert (record_hits(), published("email.opened")) == (0, [])


def test_who_follows_a_link_for_ever_is_not_told_for_ever(come, email, published):
    Email.objects.update(clicks=MOST)
    come(1)
    come(after=5)
    assert record_hits() == 2
    assert [name for name, _ in published("email.opened", "email.clicked")] == ["email.opened"]
    assert counts(email) == (1, 1, MOST, 0)


def test_who_opens_a_mail_proves_that_it_was_sent(come, email):
    Email.objects.update(status="unknown", sent_at=None, next_attempt_at=timezone.now())
    email.recipients.update(status="queued", status_at=None)
    row = come()
    record_hits()
    email.refresh_from_db()
    assert (email.status, email.sent_at, email.next_attempt_at) == ("sent", row.at, None)


def test_a_batch_takes_as_many_statements_as_one(come, email):
    def statements():
        with CaptureQueriesContext(connection) as captured:
            record_hits()
        return len(captured)

    come(1)
    one = statements()
    for number in range(40):
        come(number % 5 + 1, after=10 * number)
    assert statements() == one


def test_a_flood_of_clicks_is_judged_in_time(come, email):
    row = come(1)
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
    assert record_hits() == 500
    assert time.process_time() - started < 2


# --- Verdicts -----------------------------------------------------------------------------------


def test_a_person_reads_and_follows_links(come):
    come()
    come(1, after=4)
    come(2, after=5.2)
    come(2, after=5.9)
    record_hits()
    assert verdicts() == [HUMAN] * 4


@pytest.mark.parametrize(
    ("links", "followed"),
    [(2, [1, 2]), (3, [1, 2, 3]), (40, [7, 8, 9]), (1, None), (5, None)],
)
def test_all_links_at_once_are_followed_by_machines(come, links, followed):
    for place, number in enumerate(followed or [1, 1, 1]):
        come(number, after=0.45 * place, links=links, ip=f"203.0.{place}.9")
    record_hits()
    assert verdicts() == [machine("links_at_once") if followed else HUMAN] * len(verdicts())


def test_a_burst_is_a_second_wherever_it_begins(come):
    come(1)
    for number, after in ((2, 9.0), (3, 9.5), (4, 9.9)):
        come(number, after=after)
    come(5, after=30)
    record_hits()
    assert verdicts() == [HUMAN, *[machine("links_at_once")] * 3, HUMAN]


def test_no_more_than_the_newest_are_looked_at(come, monkeypatch):
    monkeypatch.setattr(click_bursts, "MOST", 2)
    for number in (1, 2, 3):
        come(number, after=0.1 * number)
    record_hits()
    assert verdicts() == [HUMAN] * 3


def test_a_burst_of_several_people_is_none(come, email):
    others = [uuid7(), uuid7()]
    for number, one in enumerate([email.recipients.get().pk, *others], start=1):
        come(number, recipient=one, after=0.1 * number)
    for number in (1, 2, 3):  # of a mail that all of them got
        come(number, recipient=None, ip=f"203.0.{number}.1", after=0.1 * number)
    record_hits()
    assert {verdict for verdict, _ in verdicts()} == {"human"}


def test_who_follows_the_hidden_link_is_a_machine(come, email, published):
    come(5, after=-1)
    come(1)
    come(HONEYPOT, after=1.5)
    come(after=20)
    come(2, after=50)
    come(3, after=50, ip="198.51.100.1")
    come(4, after=90)
    record_hits()
    trapped = machine("hidden_link")
    assert verdicts() == [HUMAN, trapped, trapped, trapped, trapped, HUMAN, HUMAN]
    # It is evidence, and no click on a link of the mail.
    assert len(published("email.clicked")) == 5
    assert counts(email) == (1, 0, 5, 3)


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(2.9, machine("right_after_sending")), (3.1, HUMAN)]
)
def test_nobody_reads_a_mail_before_it_is_there(come, email, seconds, verdict):
    row = come(1)
    Email.objects.update(sent_at=row.at - timedelta(seconds=seconds))
    record_hits()
    assert verdicts() == [verdict]


def test_what_the_request_showed_is_kept(come, email):
    come(1, reasons=["head_request"], agent="curl/8")
    come(agent="", after=9)
    record_hits()
    assert verdicts() == [machine("head_request", "script"), ("unknown", ["no_user_agent"])]
