"""What callers, recipients and webhooks notice when a part of the installation goes away."""

import json
import signal
import socket
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis
import requests

from tests.journey.product_running import Endpoint, Product, wait_until
from tests.reliability import tables

pytestmark = pytest.mark.chaos

COUNT = 10  # mails around an outage
SETTINGS = {
    "SWEEP_INTERVAL": "0.5",
    "LOG_LEVEL": "WARNING",
    "WEB_WORKERS": "1",
    "WORKER_CONCURRENCY": "1",
    "WEBHOOK_PROCESSES": "1",
}
# What goes away, and what becomes of requests and mail: the test asserts it, or waits for it.
CASES = {
    "ses": ("SES answers 503 for some seconds", "200", "`email.delayed`, then goes by the backoff"),
    "redis": (
        "Redis is killed, then loses all it has",
        "200",
        "goes, at the latest with the next sweep",
    ),
    "before": (
        "a web process is killed before the commit of `POST /emails`",
        "no answer; repeated with its `Idempotency-Key`: 200",
        "there was none",
    ),
    "after": (
        "a web process is killed after that commit, before the answer",
        "no answer; repeated with its `Idempotency-Key`: the first answer",
        "goes as if nothing had been",
    ),
    "database": (
        "PostgreSQL crashes while SES has the mail in hand",
        "200",
        "becomes `sent` once the database is back",
    ),
    "callbacks": (
        "the worker is killed after callbacks were answered with 200, before they are taken in",
        "200",
        "`delivered` when there is a worker again",
    ),
    "dispatcher": (
        "the dispatcher of webhooks is killed with requests in flight",
        "200",
        "not concerned; those requests are made again after their lease",
    ),
}


class GatedEndpoint(Endpoint):
    """An endpoint that counts the requests that have begun, and answers while its gate is open."""

    def __init__(self):
        super().__init__()
        self.begun = 0
        self.gate = threading.Event()
        self.gate.set()

    def take(self, request):
        self.begun += 1
        self.gate.wait(timeout=30)
        return super().take(request)


class Outages:
    """A running product, and the ways in which its parts go away."""

    def __init__(self, product, endpoint):
        self.product = product
        self.endpoint = endpoint

    def post(self, case, count=COUNT):
        answers = [self.product.api("POST", "/emails", mail(case)) for _ in range(count)]
        assert {answer.status_code for answer in answers} == {200}
        return [answer.json()["id"] for answer in answers]

    def post_until_answered(self, case, key):
        """Repeat one request, as clients do, until there is an answer."""

        def answer():
            with suppress(requests.RequestException):
                found = self.product.api("POST", "/emails", mail(case), **{"Idempotency-Key": key})
                return found if found.status_code == 200 else None

        return wait_until(answer, seconds=30, what="an answer")

    def ids(self, case):
        return [str(key) for (key,) in self.rows("SELECT id FROM emails WHERE subject = %s", case)]

    def rows(self, statement, *values):
        with psycopg.connect(self.product.facts["database_url"]) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def holding(self, table):
        """Whoever writes to the table waits in this block, in a transaction of his own."""
        with psycopg.connect(self.product.facts["database_url"]) as connection:
            connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield
        wait_until(lambda: not self.is_held_up(), what="the end of those who waited")

    def is_held_up(self):
        return self.rows("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

    def processes(self, service, command=""):
        """Of a service, all that have this in their command; with those that they started."""
        whole = psutil.Process(self.product.facts["pids"][service])
        named = [
            each
            for each in (whole, *whole.children(recursive=True))
            if command in " ".join(each.cmdline())
        ]
        assert named
        return list({part for each in named for part in (each, *each.children(recursive=True))})

    def kill(self, service):
        for process in self.processes(service):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def are_put_off(self, ids):
        """Whether the customer was told of each that it has to wait."""
        return all("email.delayed" in self.endpoint.types[key] for key in ids)

    def are_delivered(self, case):
        """Whether SES has said all it has to say of them, and all of it was taken in."""
        statuses = self.rows("SELECT DISTINCT status FROM emails WHERE subject = %s", case)
        return statuses == [("delivered",)] and self.twin_is_quiet() and not self.callbacks()

    def callbacks(self):
        """How many were answered and not taken in yet."""
        ((count,),) = self.rows("SELECT count(*) FROM provider_events WHERE state = 'received'")
        return count

    def twin_is_quiet(self):
        health = self.product.twin("health")
        return health["pending_events"] == health["pending_deliveries"] == 0

    def has_work(self):
        queues = ("emails", "provider_events", "events", "webhook_deliveries")
        return self.rows(
            " UNION ALL ".join(
                f"SELECT id FROM {queue} WHERE next_attempt_at IS NOT NULL" for queue in queues
            )
        )

    def wait_for_delivery(self, ids):
        """Until mail and events have got through."""

        def is_there():
            return all("email.delivered" in self.endpoint.types[key] for key in ids)

        wait_until(is_there, seconds=60, what="delivery of all")

    def copies(self, ids):
        """How often SES took each of these mails."""
        taken = Counter(
            copy["tags"]["opensend_email_id"] for copy in self.product.twin("mail", raw="false")
        )
        return {taken[key] for key in ids}

    def repeats(self, ids):
        """How often each event about these mails was heard."""
        heard = Counter(
            each.headers["webhook-id"] for key in ids for each in self.endpoint.events(key)
        )
        return set(heard.values())


def mail(case):
    return {
        "from": "Ada <ada@demo.opensend.test>",
        "to": "bob@example.com",
        "subject": case,
        "text": "Is anybody there?",
    }


@pytest.fixture(scope="module")
def outages():
    with (
        tempfile.TemporaryDirectory(
            prefix="opensend-outages-", ignore_cleanup_errors=True
        ) as folder,
        GatedEndpoint() as endpoint,
    ):
        product = Product(Path(folder), **SETTINGS)
        try:
            product.start()
            hook = product.api("POST", "/webhooks", {"endpoint": endpoint.url, "events": ["*"]})
            endpoint.expect(hook.json()["signing_secret"])
            yield Outages(product, endpoint)
        finally:
            product.stop()


def test_what_an_outage_costs_is_what_the_page_says(outages):
    """One after another, each with mail of its own; nothing may go twice in any."""
    found = {"database": database_dies(outages)}
    outages.wait_for_delivery(found["database"])
    with ses_takes_nothing(outages):
        found["ses"] = outages.post("ses")
        found["before"] = web_dies_before_the_commit(outages)
        found["after"] = web_dies_after_the_commit(outages)
        found["redis"] = redis_dies_and_forgets(outages)
        wait_until(lambda: outages.are_put_off(found["ses"]), what="telling of the delay")
    for ids in found.values():
        outages.wait_for_delivery(ids)
    found["dispatcher"], found["callbacks"] = workers_die(outages)
    for ids in found.values():
        outages.wait_for_delivery(ids)
    wait_until(lambda: not outages.has_work(), what="the end of all work")

    assert {case: outages.copies(ids) for case, ids in found.items()} == {
        case: {1} for case in CASES
    }
    heard = {case: max(outages.repeats(ids)) for case, ids in found.items()}
    assert heard == {case: 2 if case == "dispatcher" else 1 for case in CASES}
    tables.check(
        "outages",
        ["What goes away", "The caller gets", "The mail", "Copies", "Each event comes"],
        [[*texts, "1", _times(heard[case])] for case, texts in CASES.items()],
    )


def _times(count):
    return {1: "once", 2: "once; those in flight twice, with one `webhook-id`"}[count]


@contextmanager
def ses_takes_nothing(outages):
    outages.product.fault(fail_calls={"SendEmail": "ServiceUnavailable"})
    yield
    outages.product.fault(fail_calls={})


def web_dies_before_the_commit(outages):
    with outages.holding("email_recipients"):
        client = threading.Thread(target=_lost, args=[outages, "before"])
        client.start()
        wait_until(outages.is_held_up, what="a request in its transaction")
        outages.kill("web")
        client.join()
    assert outages.ids("before") == []
    answer = outages.post_until_answered("before", "before")
    assert "Idempotent-Replayed" not in answer.headers
    assert outages.ids("before") == [answer.json()["id"]]
    return outages.ids("before")


def _lost(outages, case):
    with pytest.raises(requests.RequestException):
        outages.product.api("POST", "/emails", mail(case), **{"Idempotency-Key": case})


def web_dies_after_the_commit(outages):
    content = json.dumps(mail("after")).encode()
    where = urlsplit(outages.product.facts["base_url"])
    with socket.create_connection((where.hostname, where.port)) as client:
        client.sendall(
            f"POST /emails HTTP/1.1\r\nHost: {where.netloc}\r\n"
            f"Authorization: Bearer {outages.product.facts['api_key']}\r\n"
            "Content-Type: application/json\r\nIdempotency-Key: after\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        (kept,) = wait_until(lambda: outages.ids("after"), what="the commit")
        outages.kill("web")  # the answer, if it was given, was never read
    answer = outages.post_until_answered("after", "after")
    assert (answer.json()["id"], answer.headers["Idempotent-Replayed"]) == (kept, "true")
    assert outages.ids("after") == [kept]
    return [kept]


def redis_dies_and_forgets(outages):
    outages.kill("redis")
    ids = outages.post("redis", COUNT // 2)
    with redis.Redis.from_url(outages.product.facts["redis_url"]) as client:
        wait_until(lambda: _answers(client), what="Redis")
        ids += outages.post("redis", COUNT // 2)
        client.flushall()
    return ids


def _answers(client):
    with suppress(redis.RedisError):
        return client.ping()


def database_dies(outages):
    outages.product.fault(latency_ms=2_000)
    before = outages.product.twin("mail/count")["count"]
    ids = outages.post("database")
    wait_until(
        lambda: outages.product.twin("mail/count")["count"] >= before + COUNT, what="the calls"
    )
    # As in a crash: sessions are cut off, and it has to recover when it is started again.
    psutil.Process(outages.product.facts["pids"]["postgres"]).send_signal(signal.SIGQUIT)
    outages.product.fault(latency_ms=0)
    return ids


def workers_die(outages):
    """The mails whose events were on their way out, and those whose events had come in."""
    outages.endpoint.begun = 0
    outages.endpoint.gate.clear()
    outgoing = outages.post("dispatcher")
    wait_until(lambda: outages.endpoint.begun >= COUNT, what="requests to the endpoint")
    wait_until(lambda: outages.are_delivered("dispatcher"), what="the taking in of callbacks")
    stopped = outages.processes("worker", "-Q database")
    for process in stopped:
        process.suspend()
    incoming = outages.post("callbacks")
    wait_until(
        lambda: outages.callbacks() == 2 * COUNT and outages.twin_is_quiet(),
        what="Send and Delivery events that were answered",
    )
    for process in stopped + outages.processes("worker", "-Q webhooks"):
        process.kill()
    outages.endpoint.gate.set()
    # By itself the lease would end after a minute.
    outages.rows(
        "UPDATE webhook_deliveries SET next_attempt_at = now() WHERE status = 'attempting'"
    )
    return outgoing, incoming
