"""One bucket for all workers: debts and refunds, throttling and chance, the quota of a day."""

import random
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from accounts.services import create_workspace
from core.queue.worker_loop import stopping
from emails.models import Email, SendRate
from emails.providers import Limits, NotTaken, QuotaExceeded, Throttled
from emails.sending import loop, token_bucket
from emails.sending.loop import send_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def bucket():
    """A full bucket of 100 a second, whose provider was asked just now."""

    def make(**changes):
        fields = {"name": "r", "max_rate": 100, "tokens": 50, "refresh_at": in_a_while()} | changes
        return SendRate.objects.create(refreshed_at=timezone.now(), **fields)

    return make


def in_a_while():
    return timezone.now() + timedelta(minutes=5)


def age(seconds):
    """Let time pass for the buckets."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE send_rates SET filled_at = filled_at - make_interval(secs => %(by)s),"
            " factor_at = factor_at - make_interval(secs => %(by)s),"
            " throttled_at = throttled_at - make_interval(secs => %(by)s)",
            {"by": seconds},
        )


def row():
    return SendRate.objects.get()


def test_what_is_taken_is_gone_until_time_brings_it_back(bucket):
    bucket()

    assert token_bucket.acquire("r", 64).places == 50
    empty = token_bucket.acquire("r", 64)
    assert (empty.places, 0 < empty.pause <= 0.1) == (0, True)
    age(0.3)
    assert token_bucket.acquire("r", 64).places in (30, 31)
    age(3600)
    assert (
        token_bucket.acquire("r", 200).places == 50
    )  # half a second's worth, however long it waited


def test_few_tokens_are_left_to_gather_and_a_small_claim_needs_not_wait(bucket):
    bucket(tokens=3)

    assert token_bucket.acquire("r", 64).places == 0
    assert token_bucket.acquire("r", 2).places == 2


def test_debt_delays_what_comes_next(bucket):
    bucket(max_rate=10, tokens=5)
    assert token_bucket.acquire("r", 1).places == 1
    token_bucket.adjust("r", recipients=49)

    waiting = token_bucket.acquire("r", 1)

    assert (waiting.places, waiting.pause) == (0, token_bucket.LONGEST_PAUSE)
    age(4)
    assert token_bucket.acquire("r", 1).places == 0
    age(1)
    assert token_bucket.acquire("r", 1).places == 1


def test_less_than_one_a_second_is_a_rate(bucket):
    bucket(max_rate=0.5, tokens=1)

    assert token_bucket.acquire("r", 10).places == 1
    age(1.9)
    assert token_bucket.acquire("r", 10).places == 0
    age(0.2)
    assert token_bucket.acquire("r", 10).places == 1


def test_a_rate_of_nothing_lets_nothing_through(bucket):
    bucket(max_rate=0, tokens=0)
    age(3600)

    assert token_bucket.acquire("r", 1).places == 0


def test_throttling_halves_the_rate_once_a_burst_and_it_comes_back_by_steps(bucket):
    bucket(tokens=40)
    token_bucket.acquire("r", 40)

    for factor in (1, 0.5, 0.25):
        for _ in range(30):
            token_bucket.record_throttles("r", calls=1, recipients=1)
        assert row().factor == factor
        age(1.1)
    for expected in (0.35, 0.45, 0.55):
        age(5)
        token_bucket.acquire("r", 1)
        assert row().factor == pytest.approx(expected)
    age(3600)
    token_bucket.acquire("r", 1)
    assert row().factor == 1


def test_throttling_now_and_then_does_not_cost_the_rate(bucket):
    bucket()
    chance = random.Random(7)

    for _ in range(600):  # a minute
        age(0.1)
        places = token_bucket.acquire("r", 10).places
        refused = sum(chance.random() < 0.02 for _ in range(places))
        if refused:
            token_bucket.record_throttles("r", calls=refused, recipients=refused)
        assert row().factor == 1


def test_a_burst_after_a_stall_does_not_cost_the_rate(bucket):
    bucket()

    for _ in range(5):
        token_bucket.record_throttles("r", calls=40, recipients=40)
        token_bucket.record_throttles("r", calls=20, recipients=20)
        age(11)

    assert row().factor == 1


def test_throttling_of_every_fourth_call_does(bucket):
    bucket()
    for _ in range(30):
        age(0.1)
        if places := token_bucket.acquire("r", 10).places:
            token_bucket.record_throttles("r", calls=places // 4, recipients=places // 4)

    assert row().factor <= 0.5


def test_what_was_throttled_gives_its_tokens_back(bucket):
    bucket(tokens=20, max_rate=40)
    assert token_bucket.acquire("r", 20).places == 20

    token_bucket.record_throttles("r", calls=1, recipients=7)

    assert (row().tokens, row().sent_since) == (pytest.approx(7, abs=2), 13)


def test_one_caller_is_to_look(bucket):
    bucket(refresh_at=timezone.now() - timedelta(seconds=1))

    assert [token_bucket.acquire("r", 1).is_refresh_due for _ in range(3)] == [True, False, False]

    token_bucket.refresh_limits("r", Limits(rate=7, daily_quota=1000, sent_24h=3))
    learned = row()
    assert (learned.max_rate, learned.daily_quota, learned.sent_24h) == (7, 1000, 3)
    assert learned.refresh_at > timezone.now() + timedelta(minutes=4)


def test_the_quota_closes_until_the_next_look(bucket):
    refresh_at = in_a_while()
    bucket(daily_quota=100, sent_24h=90, refresh_at=refresh_at)

    assert token_bucket.acquire("r", 50).places == 10
    closed = token_bucket.acquire("r", 50)
    assert (closed.places, closed.paused_until) == (0, refresh_at)

    token_bucket.refresh_limits("r", Limits(rate=100, daily_quota=100, sent_24h=99))
    assert token_bucket.acquire("r", 50).places == 1


def test_workers_together_take_no_more_than_there_is(transactional_db):
    SendRate.objects.create(
        name="r", max_rate=100_000, tokens=1000, daily_quota=100, refresh_at=in_a_while()
    )
    taken = Counter()

    def work(number):
        for _ in range(40):
            taken[number] += token_bucket.acquire("r", 1).places
        connections.close_all()

    workers = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(taken.values()) == row().sent_since == 100


# --- The worker -------------------------------------------------------------------------------


def make_due(**changes):
    Email.objects.exclude(next_attempt_at=None).update(
        next_attempt_at="2026-01-01T00:00Z", **changes
    )


def test_limits_are_asked_for_first_and_mail_is_counted_in_recipients(accepted, provider):
    provider.rate = Limits(rate=40, daily_quota=500, sent_24h=10)
    accepted(to=["bob@example.net", "carla@example.net"], cc="dan@example.net")

    assert send_due() == 1

    known = row()
    assert (known.name, known.max_rate, known.daily_quota) == ("us-east-1", 40, 500)
    assert (known.sent_24h, known.sent_since) == (10, 3)
    assert known.tokens < 20


@pytest.mark.parametrize("error", [None, ValueError("no such region")])
def test_a_provider_is_ready_before_mail_takes_its_place(accepted, provider, monkeypatch, error):
    provider.rate = Limits(rate=1000)
    steps = []

    def prepare(region):
        steps.append(region)
        if error:
            raise error

    acquire = token_bucket.acquire
    monkeypatch.setattr(provider, "prepare", prepare)
    monkeypatch.setattr(
        token_bucket, "acquire", lambda *given: steps.append("acquire") or acquire(*given)
    )
    accepted()

    send_due()

    assert steps[:2] == ["us-east-1", "acquire"]
    assert len(provider.sent) == 1


def test_recipients_that_were_dropped_cost_nothing(accepted, provider, workspace):
    from contacts.models import Suppression

    provider.rate = Limits(rate=40)
    accepted(to=["bob@example.net", "carla@example.net"])
    Suppression.objects.create(workspace=workspace, email="carla@example.net", origin="manual")

    send_due()

    assert row().sent_since == 1


def test_a_throttled_mail_gets_back_what_it_cost(accepted, provider, workspace):
    from contacts.models import Suppression

    provider.rate = Limits(rate=40)
    accepted()
    send_due()
    accepted(to=["bob@example.net", "BOB@example.net", "carla@example.net"])
    Suppression.objects.create(workspace=workspace, email="carla@example.net", origin="manual")
    provider.script = [Throttled("too fast")]

    send_due()
    send_due()  # what was noted is told before the next claim

    assert row().sent_since == 1


def test_without_an_answer_mail_goes_slowly(accepted, provider, settings):
    settings.SEND_RATE_UNTIL_KNOWN = 5
    provider.rate = NotTaken("no route to AWS")
    accepted()

    assert send_due() == 1

    assert (row().max_rate, row().refreshed_at) == (5, None)
    assert row().refresh_at > timezone.now() + timedelta(seconds=50)


def test_the_worker_waits_while_only_the_rate_holds_mail_back(accepted, provider):
    provider.rate = Limits(rate=10)
    for _ in range(15):
        accepted()

    began = time.monotonic()
    assert send_due() == 15

    # The bucket was full, of half a second's worth, and the rest came at its pace.
    assert 0.9 < time.monotonic() - began < 3


def test_a_worker_that_waits_for_the_rate_can_be_stopped(accepted, provider):
    provider.rate = Limits(rate=0)
    accepted()
    timer = threading.Timer(0.3, stopping.set)
    timer.start()

    try:
        assert send_due() == 0
    finally:
        timer.join()
        stopping.clear()


def test_throttled_mail_goes_soon_and_never_fails_for_it(accepted, provider, published):
    provider.rate = Limits(rate=100)
    provider.script = [Throttled("Maximum sending rate exceeded.")] * 5
    email = accepted()
    Email.objects.update(first_attempt_at="2026-01-01T00:00Z")

    for _ in range(5):
        assert send_due() == 1
        email.refresh_from_db()
        assert email.status == "queued"
        assert email.next_attempt_at < timezone.now() + timedelta(seconds=3)
        make_due()
    assert row().sent_since == 0  # none of them cost a token
    send_due()
    assert row().sent_since == 1

    email.refresh_from_db()
    assert email.status == "sent"
    assert [kind for kind, _ in published()] == ["email.delayed", "email.sent"]


def test_over_the_quota_all_mail_waits_for_the_next_look_and_goes_after_it(
    accepted, provider, published
):
    provider.rate = Limits(rate=100, daily_quota=2)
    for _ in range(5):
        accepted()

    assert send_due() == 2

    waiting = Email.objects.filter(status="queued")
    assert waiting.count() == 3
    refresh_at = row().refresh_at
    assert {(each.last_error, each.next_attempt_at) for each in waiting} == {
        ("daily_quota", refresh_at)
    }
    told = published("email.delayed")
    assert [data["delayed"]["reason"] for _, data in told] == ["daily_quota"] * 3
    make_due()
    assert send_due() == 0
    assert len(published("email.delayed")) == 3

    provider.rate = Limits(rate=100, daily_quota=1000, sent_24h=2)
    SendRate.objects.update(refresh_at=timezone.now(), paused_until=timezone.now())
    make_due()
    assert send_due() == 3
    assert set(Email.objects.values_list("status", flat=True)) == {"sent"}


def test_the_provider_can_say_that_the_day_is_over(accepted, provider, published):
    provider.rate = Limits(rate=100)
    provider.script = [QuotaExceeded("daily_quota")]
    first = accepted()
    assert send_due() == 1
    second = accepted()

    assert send_due() == 0

    for email in (first, second):
        email.refresh_from_db()
        assert (email.status, email.last_error) == ("queued", "daily_quota")
        assert email.next_attempt_at > timezone.now() + timedelta(minutes=4)
    assert len(published("email.delayed")) == 2


def test_claims_of_one_reach_every_workspace(accepted, provider):
    old = [accepted() for _ in range(12)]
    make_due()
    for _ in range(3):
        late = accepted()
        Email.objects.filter(pk=late.pk).update(workspace=create_workspace(name="Late"))

    owners = set()
    for _ in range(12):
        owners |= {email.workspace_id for email in loop._lease_in("ses", "us-east-1", 1)}

    assert len(old) == 12
    assert len(owners) > 2


@pytest.mark.parametrize(("batches_first", "taken"), [(0, [False, True]), (1, [True, False])])
def test_single_mail_goes_before_batches_but_not_always(
    accepted, provider, monkeypatch, batches_first, taken
):
    monkeypatch.setattr(loop, "BATCHES_FIRST", batches_first)
    accepted()
    make_due(is_batch=True)
    accepted()

    claimed = [email for _ in range(3) for email in loop._lease_in("ses", "us-east-1", 1)]

    assert [email.is_batch for email in claimed] == taken
