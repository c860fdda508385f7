"""Whatever is killed at any time: no accepted mail is lost, stuck, or reported wrongly."""

import os
import time
from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise

import pytest

from tests.chaos.conftest import SHORT_TIMES
from tests.chaos.faults import FaultInjector
from tests.chaos.load import Load
from tests.clients import wait_until

ROUNDS = int(os.environ.get("ROUNDS", "6"))
MAILS = 100 * ROUNDS
SECONDS = 9.0  # a round
QUEUES = ("emails", "provider_events", "events", "webhook_deliveries")
# Seconds; longer than a send stays unknown, plus time for the worker to restart and resend.
LATE = 15 + int(SHORT_TIMES["SEND_LEASE"]) + int(SHORT_TIMES["SEND_UNKNOWN_GRACE"])
# The longest lease, plus time for the work that follows from it.
SETTLED_WITHIN = 120.0

pytestmark = pytest.mark.chaos


def test_nothing_is_lost_or_stuck_when_processes_are_killed(product, endpoint, rng, say):
    hook = product.api("POST", "/webhooks", {"endpoint": endpoint.url, "events": ["*"]}).json()
    endpoint.expect(hook["signing_secret"])
    load = Load(product.facts, MAILS, ROUNDS * SECONDS + 5, rng)
    faults = FaultInjector(product, random=rng, say=say)
    product.fault(latency_ms=400, duplicate_events=0.1, reorder_events=True)
    # The first worker is killed while the provider's events are late: its mail is sent again. Later
    # unknown sends are resolved by those events.
    product.fault(delay_events_ms=LATE * 1000)
    load.start()
    wait_until(lambda: product.twin("mail/count")["count"] > 10, seconds=60, what="sending")
    faults.run(1, seconds=SECONDS)
    product.fault(delay_events_ms=0)
    faults.run(ROUNDS - 1, seconds=SECONDS)
    load.join()
    say(f"{len(load.mails)} mails, {load.repeated} requests repeated: {dict(load.errors)}")
    ended = time.monotonic()
    _wait_until_settled(product)
    say(f"settled {time.monotonic() - ended:.0f} s after the last mail")

    _assert_accepted_mail_is_stored_once(product, load)
    _assert_final_statuses(product, load)
    _assert_events_were_received(endpoint, load)
    _assert_no_dead_letters(product)
    assert product.orphans == []
    assert "deadlock detected" not in product.log.read_text()
    say(_check_copies(product, load))


def _wait_until_settled(product):
    end = time.monotonic() + SETTLED_WITHIN
    # Check rows again at the end: events still pending at the stand-in may have added some.
    while _open_rows(product) or not _twin_is_quiet(product) or _open_rows(product):
        assert time.monotonic() < end, f"{_open_rows(product)} are open, {_state(product)}"
        time.sleep(0.5)


def _open_rows(product):
    counts = " UNION ALL ".join(
        f"SELECT '{queue}', count(*) FROM {queue} WHERE next_attempt_at IS NOT NULL"
        for queue in QUEUES
    )
    return {name: count for name, count in product.rows(counts) if count}


def _twin_is_quiet(product):
    health = product.twin("health")
    return health["pending_events"] == health["pending_deliveries"] == 0


def _state(product):
    return {
        "emails": product.rows("SELECT status, count(*) FROM emails GROUP BY 1"),
        "callbacks": product.rows("SELECT state, count(*) FROM provider_events GROUP BY 1"),
        "overdue": {
            queue: product.rows(f"SELECT count(*) FROM {queue} WHERE next_attempt_at < now()")
            for queue in QUEUES
        },
    }


def _assert_accepted_mail_is_stored_once(product, load):
    assert [mail.key for mail in load.mails if not mail.email_id] == []
    stored = sorted((str(pk), key) for pk, key in product.rows("SELECT id, subject FROM emails"))
    assert stored == sorted((mail.email_id, mail.key) for mail in load.mails)


def _assert_final_statuses(product, load):
    found = {str(pk): status for pk, status in product.rows("SELECT id, status FROM emails")}
    wrong = Counter(
        (mail.domain, found[mail.email_id])
        for mail in load.mails
        if found[mail.email_id] != mail.status
    )
    assert wrong == {}


def _assert_events_were_received(endpoint, load):
    assert endpoint.rejected == []
    missing = [
        (mail.email_id, mail.domain, sorted(mail.events - endpoint.types[mail.email_id]))
        for mail in load.mails
        if not mail.events <= endpoint.types[mail.email_id]
    ]
    assert missing == []


def _assert_no_dead_letters(product):
    odd = product.rows(
        "SELECT state, reason FROM provider_events WHERE state IN ('unmatched', 'quarantined')"
    )
    assert odd == []
    assert product.rows("SELECT last_error FROM events WHERE last_error <> ''") == []
    assert product.rows("SELECT id FROM webhook_deliveries WHERE status <> 'success'") == []


def _check_copies(product, load):
    """The provider accepts a second copy only after the whole grace period of an unknown send."""
    accepted = defaultdict(list)
    for copy in product.twin("mail", raw="false"):
        moment = datetime.fromisoformat(copy["at"])
        accepted[copy["tags"]["opensend_email_id"]].append(moment.timestamp())
    assert accepted.keys() == {mail.email_id for mail in load.mails}
    gaps = [
        later - earlier for moments in accepted.values() for earlier, later in pairwise(moments)
    ]
    assert [gap for gap in gaps if gap < float(SHORT_TIMES["SEND_UNKNOWN_GRACE"])] == []
    ((claimed_again,),) = product.rows("SELECT count(*) FROM emails WHERE claims > 1")
    return f"{claimed_again} sends were claimed again, {len(gaps)} of them a second copy"
