"""The token bucket of all workers: debt and refunds, throttling, the daily quota."""

import random
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.services import create_workspace
from core.queue.queues import Batch
from core.queue.worker_loop import stopping
from emails.models import Email, SendRate
from emails.providers import Limits, NotTaken, QuotaExceeded, Throttled
from emails.sending import loop, token_bucket
from emails.sending.loop import send_due
from tests.database import make_due, run_at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def bucket():
    """A full bucket of 100 per second, whose limits were just refreshed."""

    def create(**changes):
        fields = {
            "name": "r",
            "max_rate": 100,
            "tokens": 50,
            "refresh_at": in_five_minutes(),
        } | changes
        return SendRate.objects.create(refreshed_at=timezone.now(), **fields)

    return create


def in_five_minutes():
    return timezone.now() + timedelta(minutes=5)


def age(seconds):
    """Move the times of the buckets back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE send_rates SET filled_at = filled_at - make_interval(secs => %(by)s),"
            " factor_at = factor_at - make_interval(secs => %(by)s),"
            " throttled_at = throttled_at - make_interval(secs => %(by)s)",
            {"by": seconds},
        )


def row():
    return SendRate.objects.get()


def test_a_bucket_refills_at_its_rate_up_to_its_capacity(bucket):
    bucket()

    assert token_bucket.acquire("r", 64).tokens == 50
    empty = token_bucket.acquire("r", 64)
    assert (empty.tokens, 0 < empty.pause <= 0.1) == (0, True)
    age(0.3)
    assert token_bucket.acquire("r", 64).tokens in (30, 31)
    age(3600)
    assert token_bucket.acquire("r", 200).tokens == 50  # capped at half a second of the rate


def test_a_grant_has_a_minimum_unless_less_is_requested(bucket):
    bucket(tokens=3)

    assert token_bucket.acquire("r", 64).tokens == 0
    assert token_bucket.acquire("r", 2).tokens == 2


def test_debt_delays_the_next_grant(bucket):
    bucket(max_rate=10, tokens=5)
    assert token_bucket.acquire("r", 1).tokens == 1
    token_bucket.adjust("r", recipients=49)

    waiting = token_bucket.acquire("r", 1)

    assert (waiting.tokens, waiting.pause) == (0, token_bucket.MAX_PAUSE)
    age(4)
    assert token_bucket.acquire("r", 1).tokens == 0
    age(1)
    assert token_bucket.acquire("r", 1).tokens == 1


def test_a_rate_below_one_per_second(bucket):
    bucket(max_rate=0.5, tokens=1)

    assert token_bucket.acquire("r", 10).tokens == 1
    age(1.9)
    assert token_bucket.acquire("r", 10).tokens == 0
    age(0.2)
    assert token_bucket.acquire("r", 10).tokens == 1


def test_a_rate_of_zero_grants_nothing(bucket):
    bucket(max_rate=0, tokens=0)
    age(3600)

    assert token_bucket.acquire("r", 1).tokens == 0


def test_throttling_halves_the_rate_once_per_burst_and_it_recovers_in_steps(bucket):
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


def test_occasional_throttling_does_not_lower_the_rate(bucket):
    bucket()
    generator = random.Random(7)

    for _ in range(600):  # a minute
        age(0.1)
        tokens = token_bucket.acquire("r", 10).tokens
        refused = sum(generator.random() < 0.02 for _ in range(tokens))
        if refused:
            token_bucket.record_throttles("r", calls=refused, recipients=refused)
        assert row().factor == 1


def test_a_burst_after_a_stall_does_not_lower_the_rate(bucket):
    bucket()

    for _ in range(5):
        token_bucket.record_throttles("r", calls=40, recipients=40)
        token_bucket.record_throttles("r", calls=20, recipients=20)
        age(11)

    assert row().factor == 1


def test_throttling_of_every_fourth_call_lowers_the_rate(bucket):
    bucket()
    for _ in range(30):
        age(0.1)
        if tokens := token_bucket.acquire("r", 10).tokens:
            token_bucket.record_throttles("r", calls=tokens // 4, recipients=tokens // 4)

    assert row().factor <= 0.5


def test_tokens_of_throttled_calls_are_returned(bucket):
    bucket(tokens=20, max_rate=40)
    assert token_bucket.acquire("r", 20).tokens == 20

    token_bucket.record_throttles("r", calls=1, recipients=7)

    assert (row().tokens, row().sent_since) == (pytest.approx(7, abs=2), 13)


def test_only_one_caller_has_to_refresh_the_limits(bucket):
    bucket(refresh_at=timezone.now() - timedelta(seconds=1))

    assert [token_bucket.acquire("r", 1).is_refresh_due for _ in range(3)] == [True, False, False]

    token_bucket.refresh_limits("r", Limits(rate=7, daily_quota=1000, sent_24h=3))
    refreshed = row()
    assert (refreshed.max_rate, refreshed.daily_quota, refreshed.sent_24h) == (7, 1000, 3)
    assert refreshed.refresh_at > timezone.now() + timedelta(minutes=4)


def test_an_exceeded_quota_pauses_until_the_next_refresh(bucket):
    refresh_at = in_five_minutes()
    bucket(daily_quota=100, sent_24h=90, refresh_at=refresh_at)

    assert token_bucket.acquire("r", 50).tokens == 10
    paused = token_bucket.acquire("r", 50)
    assert (paused.tokens, paused.paused_until) == (0, refresh_at)

    token_bucket.refresh_limits("r", Limits(rate=100, daily_quota=100, sent_24h=99))
    assert token_bucket.acquire("r", 50).tokens == 1


def test_concurrent_workers_never_exceed_the_quota(transactional_db):
    SendRate.objects.create(
        name="r", max_rate=100_000, tokens=1000, daily_quota=100, refresh_at=in_five_minutes()
    )

    def work():
        return sum(token_bucket.acquire("r", 1).tokens for _ in range(40))

    assert sum(run_at_once(*[work] * 4)) == row().sent_since == 100


# --- The worker -------------------------------------------------------------------------------


def test_limits_are_fetched_first_and_recipients_are_counted(accepted, provider):
    provider.rate = Limits(rate=40, daily_quota=500, sent_24h=10)
    accepted(to=["bob@example.net", "carla@example.net"], cc="dan@example.net")

    assert send_due().claimed == 1

    rate = row()
    assert (rate.name, rate.max_rate, rate.daily_quota) == ("us-east-1", 40, 500)
    assert (rate.sent_24h, rate.sent_since) == (10, 3)
    assert rate.tokens < 20


@pytest.mark.parametrize("error", [None, ValueError("no such region")])
def test_a_provider_is_prepared_before_tokens_are_acquired(accepted, provider, monkeypatch, error):
    provider.rate = Limits(rate=1000)
    steps = []

    def prepare(region):
        steps.append(region)
        if error:
            raise error

    acquire = token_bucket.acquire
    monkeypatch.setattr(provider, "prepare", prepare)
    monkeypatch.setattr(
        token_bucket, "acquire", lambda *args: steps.append("acquire") or acquire(*args)
    )
    accepted()

    send_due()

    assert steps[:2] == ["us-east-1", "acquire"]
    assert len(provider.sent) == 1


def test_dropped_recipients_cost_no_tokens(accepted, provider, workspace):
    from contacts.models import Suppression

    provider.rate = Limits(rate=40)
    accepted(to=["bob@example.net", "carla@example.net"])
    Suppression.objects.create(workspace=workspace, email="carla@example.net", origin="manual")

    send_due()

    assert row().sent_since == 1


def test_a_throttled_email_returns_the_tokens_of_its_recipients(accepted, provider, workspace):
    from contacts.models import Suppression

    provider.rate = Limits(rate=40)
    accepted()
    send_due()
    accepted(to=["bob@example.net", "BOB@example.net", "carla@example.net"])
    Suppression.objects.create(workspace=workspace, email="carla@example.net", origin="manual")
    provider.script = [Throttled("too fast")]

    send_due()
    send_due()  # throttles are flushed before the next claim

    assert row().sent_since == 1


def test_without_known_limits_mail_is_sent_slowly(accepted, provider, settings):
    settings.SEND_RATE_UNTIL_KNOWN = 5
    provider.rate = NotTaken("no route to AWS")
    accepted()

    assert send_due().claimed == 1

    assert (row().max_rate, row().refreshed_at) == (5, None)
    assert row().refresh_at > timezone.now() + timedelta(seconds=50)


def test_the_worker_waits_for_the_rate_limit(accepted, provider):
    provider.rate = Limits(rate=10)
    for _ in range(15):
        accepted()

    started = time.monotonic()
    assert send_due().claimed == 15

    # The full bucket holds half a second of the rate, and the rest takes its time.
    assert 0.9 < time.monotonic() - started < 3


def test_a_worker_that_waits_for_the_rate_limit_can_be_stopped(accepted, provider):
    provider.rate = Limits(rate=0)
    accepted()
    timer = threading.Timer(0.3, stopping.set)
    timer.start()

    try:
        assert send_due().claimed == 0
    finally:
        timer.join()
        stopping.clear()


def test_a_worker_waits_for_the_rate_limit_only_while_time_is_left(accepted, provider):
    provider.rate = Limits(rate=0)
    accepted()

    started = time.monotonic()
    assert send_due(seconds=0.3).claimed == 0

    assert 0.3 <= time.monotonic() - started < 1


def test_throttles_are_saved_when_the_time_is_over(accepted, provider):
    accepted()
    provider.rate = Limits(rate=1000)

    def throttle(_):
        time.sleep(0.4)
        return Throttled("too fast")

    provider.script = [throttle]

    assert send_due(seconds=0.3) == Batch(claimed=1, failed=1)

    assert row().sent_since == 0
    assert row().throttled == pytest.approx(1, abs=0.1)


def test_limits_are_saved_that_were_fetched_when_the_time_was_over(accepted, provider, monkeypatch):
    accepted()
    provider.rate = Limits(rate=1000)
    monkeypatch.setattr(provider, "limits", lambda _: time.sleep(0.5) or provider.rate)

    send_due(seconds=0.2)

    assert row().max_rate == 1000


def test_throttled_mail_is_retried_soon_and_never_fails(accepted, provider, published):
    provider.rate = Limits(rate=100)
    provider.script = [Throttled("Maximum sending rate exceeded.")] * 5
    email = accepted()
    Email.objects.update(first_attempt_at="2026-01-01T00:00Z")

    for _ in range(5):
        assert send_due().claimed == 1
        email.refresh_from_db()
        assert email.status == "queued"
        assert email.next_attempt_at < timezone.now() + timedelta(seconds=3)
        make_due(Email)
    assert row().sent_since == 0  # none of them cost a token
    send_due()
    assert row().sent_since == 1

    email.refresh_from_db()
    assert email.status == "sent"
    assert [kind for kind, _ in published()] == ["email.delayed", "email.sent"]


def test_over_the_quota_all_mail_is_deferred_until_the_next_refresh(accepted, provider, published):
    provider.rate = Limits(rate=100, daily_quota=2)
    for _ in range(5):
        accepted()

    assert send_due().claimed == 2

    waiting = Email.objects.filter(status="queued")
    assert waiting.count() == 3
    refresh_at = row().refresh_at
    assert {(each.last_error, each.next_attempt_at) for each in waiting} == {
        ("daily_quota", refresh_at)
    }
    delayed = published("email.delayed")
    assert [data["delayed"]["reason"] for _, data in delayed] == ["daily_quota"] * 3
    make_due(Email)
    assert send_due().claimed == 0
    assert len(published("email.delayed")) == 3

    provider.rate = Limits(rate=100, daily_quota=1000, sent_24h=2)
    SendRate.objects.update(refresh_at=timezone.now(), paused_until=timezone.now())
    make_due(Email)
    assert send_due().claimed == 3
    assert set(Email.objects.values_list("status", flat=True)) == {"sent"}


def test_a_quota_error_of_the_provider_pauses_sending(accepted, provider, published):
    provider.rate = Limits(rate=100)
    provider.script = [QuotaExceeded("daily_quota")]
    first = accepted()
    assert send_due().claimed == 1
    second = accepted()

    assert send_due().claimed == 0

    for email in (first, second):
        email.refresh_from_db()
        assert (email.status, email.last_error) == ("queued", "daily_quota")
        assert email.next_attempt_at > timezone.now() + timedelta(minutes=4)
    assert len(published("email.delayed")) == 2


def test_small_claims_reach_every_workspace(accepted, provider):
    old = [accepted() for _ in range(12)]
    make_due(Email)
    for _ in range(3):
        late = accepted()
        Email.objects.filter(pk=late.pk).update(workspace=create_workspace(name="Late"))

    owners = set()
    for _ in range(12):
        owners |= {email.workspace_id for email in loop._lease_lane("ses", "us-east-1", 1)}

    assert len(old) == 12
    assert len(owners) > 2


@pytest.mark.parametrize(
    ("batch_first_share", "expected"), [(0, [False, True]), (1, [True, False])]
)
def test_single_emails_go_before_batches_except_in_a_share_of_claims(
    accepted, provider, monkeypatch, batch_first_share, expected
):
    monkeypatch.setattr(loop, "BATCH_FIRST_SHARE", batch_first_share)
    accepted()
    make_due(Email, is_batch=True)
    accepted()

    claimed = [email for _ in range(3) for email in loop._lease_lane("ses", "us-east-1", 1)]

    assert [email.is_batch for email in claimed] == expected
