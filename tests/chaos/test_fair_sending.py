"""Three real workers on an account with a send rate, random throttling and a daily quota."""

import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from tests.clients import wait_until
from tests.journey.product import Product

RATE = 50
BACKLOG = 10_000
SECONDS = 16

pytestmark = pytest.mark.chaos


@pytest.fixture
def product():
    with tempfile.TemporaryDirectory(
        prefix="opensend-rates-", ignore_cleanup_errors=True
    ) as folder:
        running = Product(
            Path(folder), SENDING_PROCESSES="3", SWEEP_INTERVAL="1", LOG_LEVEL="WARNING"
        )
        try:
            yield running.start()
        finally:
            running.stop()


def test_workers_share_the_rate_and_no_mail_fails_because_of_it(product, say):
    product.fault(send_rate=RATE, throttle=0.02, drop_events=1)
    first = product.api(
        "POST",
        "/emails",
        {"from": "ada@demo.opensend.test", "to": "b@example.com", "subject": "s", "text": "t"},
    )
    template = first.json()["id"]
    wait_until(lambda: accepted(product) == 1, seconds=20, what="the first mail")

    add_backlog(product, template, BACKLOG)
    time.sleep(3)
    before, began = accepted(product), time.monotonic()
    time.sleep(SECONDS / 2)
    delay = delay_of_another_workspace(product, template)
    time.sleep(max(0, began + SECONDS - time.monotonic()))
    rate = (accepted(product) - before) / (time.monotonic() - began)
    say(
        f"{rate:.1f} of {RATE} recipients/s were accepted ({rate / RATE:.0%}); another workspace's"
        f" mail waited {delay:.2f} s; {throttles(product)} calls were throttled"
    )

    assert rate >= 0.95 * RATE
    assert delay < 2
    assert statuses(product).keys() <= {"queued", "sending", "sent"}

    product.fault(daily_quota=accepted(product) + 100, throttle=0)
    wait_until(
        lambda: all_wait_for_the_quota(product), seconds=30, what="the end of the daily quota"
    )
    sent = accepted(product)
    assert statuses(product) == {"sent": sent, "queued": BACKLOG + 2 - sent}
    ((soonest,),) = product.rows(
        "SELECT extract(epoch FROM min(next_attempt_at) - now())::float FROM emails"
        " WHERE status = 'queued'"
    )
    say(f"{BACKLOG + 2 - sent} mails wait for the quota, for {soonest:.0f} s")
    assert soonest > 200

    product.fault(daily_quota=1_000_000, send_rate=None)
    change(product, "UPDATE send_rates SET refresh_at = now(), paused_until = now()")
    change(
        product,
        "UPDATE emails SET next_attempt_at = now() WHERE id IN"
        " (SELECT id FROM emails WHERE status = 'queued' LIMIT 500)",
    )
    wait_until(
        lambda: statuses(product)["sent"] == sent + 500, seconds=20, what="the remaining mail"
    )
    assert accepted(product) == sent + 500


def accepted(product):
    return product.twin("mail/count")["count"]


def throttles(product):
    calls = product.twin("calls", operation="SendEmail", limit=1000)
    return f"{sum(call['status'] == 429 for call in calls)} of the last {len(calls)}"


def statuses(product):
    return dict(product.rows("SELECT status, count(*) FROM emails GROUP BY status"))


def all_wait_for_the_quota(product):
    ((others,),) = product.rows(
        "SELECT count(*) FROM emails WHERE status = 'sending'"
        " OR status = 'queued' AND last_error <> 'daily_quota'"
    )
    return not others


def change(product, statement, *values):
    with psycopg.connect(product.facts["database_url"]) as connection:
        connection.execute(statement, values)


def add_backlog(product, template, count, workspace="workspace_id", address="b@example.com"):
    """Insert copies of a mail, due now; `workspace` is an SQL expression."""
    with psycopg.connect(product.facts["database_url"]) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT quote_ident(column_name) FROM information_schema.columns"
                " WHERE table_name = 'emails'"
            )
        ]
        new = {
            "id": "gen_random_uuid()",
            "workspace_id": workspace,
            "api_key_id": "NULL",
            "status": "'queued'",
            "next_attempt_at": "now()",
            "provider_message_id": "''",
            "sent_at": "NULL",
        }
        connection.execute(
            f"WITH copies AS (INSERT INTO emails ({', '.join(names)})"
            f" SELECT {', '.join(new.get(name, name) for name in names)}"
            "  FROM emails, generate_series(1, %s) WHERE emails.id = %s RETURNING id)"
            " INSERT INTO email_recipients (id, email_id, kind, address, status, detail)"
            " SELECT gen_random_uuid(), id, 'to', %s, 'queued', '' FROM copies",
            [count, template, address],
        )


def delay_of_another_workspace(product, template):
    """Seconds from the commit of its only mail until the stand-in for AWS accepts it."""
    change(
        product,
        "INSERT INTO workspaces (id, name, created_at) VALUES (gen_random_uuid(), 'Late', now())",
    )
    began = time.monotonic()
    late = "(SELECT id FROM workspaces WHERE name = 'Late')"
    add_backlog(product, template, 1, workspace=late, address="late@example.com")
    wait_until(
        lambda: product.twin("mail", recipient="late@example.com", raw="false"),
        seconds=10,
        what="the other workspace's mail",
    )
    return time.monotonic() - began
