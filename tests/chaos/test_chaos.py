"""Whatever is killed, and whenever: nothing accepted is lost, stuck, or told wrong."""

import os
import time
from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise

import pytest

from tests.chaos.conftest import SHORTER
from tests.chaos.havoc import Havoc
from tests.chaos.load import Load
from tests.journey.product_running import wait_until

ROUNDS = int(os.environ.get("ROUNDS", "6"))
MAILS = 100 * ROUNDS
SECONDS = 9.0  # a round
QUEUES = ("emails", "provider_events", "events", "webhook_deliveries")
# Seconds; longer than a send is in doubt, and until the worker is back to send it again.
LATE = 15 + int(SHORTER["SEND_LEASE"]) + int(SHORTER["SEND_UNKNOWN_GRACE"])
# The longest lease, and some time for what follows from the work it held up.
SETTLED_WITHIN = 120.0

pytestmark = pytest.mark.chaos


def test_nothing_is_lost_or_stuck_when_processes_are_killed(product, endpoint, chance, say):
    hook = product.api("POST", "/webhooks", {"endpoint": endpoint.url, "events": ["*"]}).json()
    endpoint.expect(hook["signing_secret"])
    load = Load(product.facts, MAILS, ROUNDS * SECONDS + 5, chance)
    havoc = Havoc(product, random=chance, say=say)
    product.fault(latency_ms=400, duplicate_events=0.1, reorder_events=True)
    # The first worker dies while the provider's word of what it took is late: those are sent
    # again. Later ones are settled by that word.
    product.fault(delay_events_ms=LATE * 1000)
    load.start()
    wait_until(lambda: product.twin("mail/count")["count"] > 10, seconds=60, what="sending")
    havoc.rage(1, seconds=SECONDS)
    product.fault(delay_events_ms=0)
    havoc.rage(ROUNDS - 1, seconds=SECONDS)
    load.join()
    say(f"{len(load.mails)} mails, {load.repeated} requests repeated: {dict(load.troubles)}")
    calm = time.monotonic()
    _wait_until_settled(product)
    say(f"settled {time.monotonic() - calm:.0f} s after the last mail")

    _everything_accepted_is_there_once(product, load)
    _every_mail_ended_as_its_address_says(product, load)
    _every_event_was_heard(endpoint, load)
    _nothing_was_shelved(product)
    assert product.orphans == []
    assert "deadlock detected" not in product.log.read_text()
    say(_told_of_copies(product, load))


def _wait_until_settled(product):
    end = time.monotonic() + SETTLED_WITHIN
    # Asked again at last: what the stand-in still had may have opened rows.
    while _open_rows(product) or not _twin_is_quiet(product) or _open_rows(product):
        assert time.monotonic() < end, f"{_open_rows(product)} are open, {_told(product)}"
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


def _told(product):
    return {
        "emails": product.rows("SELECT status, count(*) FROM emails GROUP BY 1"),
        "callbacks": product.rows("SELECT state, count(*) FROM provider_events GROUP BY 1"),
        "overdue": {
            queue: product.rows(f"SELECT count(*) FROM {queue} WHERE next_attempt_at < now()")
            for queue in QUEUES
        },
    }


def _everything_accepted_is_there_once(product, load):
    assert [mail.key for mail in load.mails if not mail.email_id] == []
    stored = sorted((str(pk), key) for pk, key in product.rows("SELECT id, subject FROM emails"))
    assert stored == sorted((mail.email_id, mail.key) for mail in load.mails)


def _every_mail_ended_as_its_address_says(product, load):
    found = {str(pk): status for pk, status in product.rows("SELECT id, status FROM emails")}
    wrong = Counter(
        (mail.domain, found[mail.email_id])
        for mail in load.mails
        if found[mail.email_id] != mail.status
    )
    assert wrong == {}


def _every_event_was_heard(endpoint, load):
    assert endpoint.refused == []
    missing = [
        (mail.email_id, mail.domain, sorted(mail.events - endpoint.types[mail.email_id]))
        for mail in load.mails
        if not mail.events <= endpoint.types[mail.email_id]
    ]
    assert missing == []


def _nothing_was_shelved(product):
    odd = product.rows(
        "SELECT state, reason FROM provider_events WHERE state IN ('unmatched', 'quarantined')"
    )
    assert odd == []
    assert product.rows("SELECT last_error FROM events WHERE last_error <> ''") == []
    assert product.rows("SELECT id FROM webhook_deliveries WHERE status <> 'success'") == []


def _told_of_copies(product, load):
    """The provider takes a mail twice only when a send stayed in doubt through its grace."""
    taken = defaultdict(list)
    for copy in product.twin("mail", raw="false"):
        moment = datetime.fromisoformat(copy["at"])
        taken[copy["tags"]["opensend_email_id"]].append(moment.timestamp())
    assert taken.keys() == {mail.email_id for mail in load.mails}
    gaps = [later - earlier for moments in taken.values() for earlier, later in pairwise(moments)]
    assert [gap for gap in gaps if gap < float(SHORTER["SEND_UNKNOWN_GRACE"])] == []
    ((claimed_again,),) = product.rows("SELECT count(*) FROM emails WHERE claims > 1")
    return f"{claimed_again} sends were begun again, {len(gaps)} of them a second copy"
