"""What callers, recipients and webhooks notice when a component of the installation fails."""

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

from tests.clients import wait_until
from tests.journey.product import Endpoint, Product
from tests.reliability import tables

pytestmark = pytest.mark.chaos

COUNT = 10  # mails around an outage
LEASE = 60  # seconds until what a killed process had claimed is due again
SETTINGS = {
    "SWEEP_INTERVAL": "0.5",
    "LOG_LEVEL": "WARNING",
    "WEB_WORKERS": "1",
    "WORKER_CONCURRENCY": "1",
    "WEBHOOK_PROCESSES": "1",
}
# Each failure, the response to the caller, and the effect on the mail: the test asserts or awaits
# them.
CASES = {
    "ses": (
        "SES responds with 503 for some seconds",
        "200",
        "`email.delayed`, then sent after the backoff",
    ),
    "redis": (
        "Redis is killed, then loses all data",
        "200",
        "sent, with the next sweep at the latest",
    ),
    "before": (
        "a web process is killed before the commit of `POST /emails`",
        "none; repeated with the same `Idempotency-Key`: 200",
        "not stored by the first request",
    ),
    "after": (
        "a web process is killed after that commit, before the response",
        "none; repeated with the same `Idempotency-Key`: the first response",
        "sent normally",
    ),
    "database": (
        "PostgreSQL crashes during calls to SES",
        "200",
        "becomes `sent` once the database is back",
    ),
    "callbacks": (
        "the worker is killed after callbacks were answered with 200, before it processed them",
        "200",
        "`delivered` when a worker runs again",
    ),
    "dispatcher": (
        "the webhook dispatcher is killed with requests in flight",
        "200",
        "not affected; those requests are repeated after their lease",
    ),
}


class GatedEndpoint(Endpoint):
    """An endpoint that counts incoming requests, and responds only while its gate is open."""

    def __init__(self):
        super().__init__()
        self.begun = 0
        self.gate = threading.Event()
        self.gate.set()

    def receive(self, request):
        self.begun += 1
        self.gate.wait(timeout=30)
        return super().receive(request)


class Outages:
    """A running product, and ways to make its components fail."""

    def __init__(self, product, endpoint):
        self.product = product
        self.endpoint = endpoint

    def post(self, case, count=COUNT):
        answers = [self.product.api("POST", "/emails", mail(case)) for _ in range(count)]
        assert {answer.status_code for answer in answers} == {200}
        return [answer.json()["id"] for answer in answers]

    def post_until_answered(self, case, key):
        """Repeat one request, as clients do, until it succeeds."""

        def answer():
            with suppress(requests.RequestException):
                found = self.product.api("POST", "/emails", mail(case), **{"Idempotency-Key": key})
                return found if found.status_code == 200 else None

        return wait_until(answer, seconds=30, what="a response")

    def ids(self, case):
        return [str(key) for (key,) in self.rows("SELECT id FROM emails WHERE subject = %s", case)]

    def rows(self, statement, *values):
        with psycopg.connect(self.product.facts["database_url"]) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def has_database(self):
        with suppress(psycopg.OperationalError):
            return self.rows("SELECT 1")

    def end_leases(self, queue):
        """Let other workers have at once what killed ones had claimed."""
        self.rows(f"UPDATE {queue} SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")

    @contextmanager
    def locking(self, table):
        """Lock the table in this block; transactions that write to it wait."""
        with psycopg.connect(self.product.facts["database_url"]) as connection:
            connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield
        wait_until(lambda: not self.is_blocked(), what="the end of lock waits")

    def is_blocked(self):
        return self.rows("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

    def processes(self, service, command=""):
        """The processes of a service whose command contains `command`, with their children."""
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

    def are_delayed(self, ids):
        """Whether the webhook received `email.delayed` for each."""
        return all("email.delayed" in self.endpoint.types[key] for key in ids)

    def are_delivered(self, case):
        """Whether SES has posted all events about them, and all were processed."""
        statuses = self.rows("SELECT DISTINCT status FROM emails WHERE subject = %s", case)
        return statuses == [("delivered",)] and self.twin_is_quiet() and not self.callbacks()

    def callbacks(self):
        """The number of callbacks that were answered and not processed yet."""
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
        """Wait until mail and events are delivered."""

        def is_delivered():
            return all("email.delivered" in self.endpoint.types[key] for key in ids)

        wait_until(is_delivered, seconds=LEASE + 30, what="delivery of all")

    def wait_for_end_of_work(self):
        """Wait until nothing is due or claimed, not even by a process that was killed."""
        wait_until(lambda: not self.has_work(), seconds=LEASE + 30, what="the end of all work")

    def copies(self, ids):
        """How often SES accepted each of these mails."""
        accepted = Counter(
            copy["tags"]["opensend_email_id"] for copy in self.product.twin("mail", raw="false")
        )
        return {accepted[key] for key in ids}

    def repeats(self, ids):
        """How often each event about these mails was delivered."""
        deliveries = Counter(
            each.headers["webhook-id"] for key in ids for each in self.endpoint.events(key)
        )
        return set(deliveries.values())


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


def test_the_page_has_the_measured_cost_of_each_outage(outages):
    """Outages follow one another, each with its own mail; none may send an email twice."""
    outages.wait_for_end_of_work()  # about the demo domain
    found = {"database": crash_database(outages)}
    outages.wait_for_delivery(found["database"])
    outages.wait_for_end_of_work()
    with ses_unavailable(outages):
        found["ses"] = outages.post("ses")
        found["before"] = kill_web_before_commit(outages)
        found["after"] = kill_web_after_commit(outages)
        found["redis"] = kill_and_flush_redis(outages)
        wait_until(lambda: outages.are_delayed(found["ses"]), what="email.delayed")
    for ids in found.values():
        outages.wait_for_delivery(ids)
    found["dispatcher"], found["callbacks"] = kill_workers(outages)
    for ids in found.values():
        outages.wait_for_delivery(ids)
    outages.wait_for_end_of_work()

    assert {case: outages.copies(ids) for case, ids in found.items()} == {
        case: {1} for case in CASES
    }
    deliveries = {case: max(outages.repeats(ids)) for case, ids in found.items()}
    assert deliveries == {case: 2 if case == "dispatcher" else 1 for case in CASES}
    tables.check(
        "outages",
        ["Failure", "Response to the caller", "The email", "Copies", "Each event is delivered"],
        [[*texts, "1", _times(deliveries[case])] for case, texts in CASES.items()],
    )


def _times(count):
    return {1: "once", 2: "once; those in flight twice, with the same `webhook-id`"}[count]


@contextmanager
def ses_unavailable(outages):
    outages.product.fault(fail_calls={"SendEmail": "ServiceUnavailable"})
    yield
    outages.product.fault(fail_calls={})


def kill_web_before_commit(outages):
    with outages.locking("email_recipients"):
        client = threading.Thread(target=_post_without_response, args=[outages, "before"])
        client.start()
        wait_until(outages.is_blocked, what="a request in its transaction")
        outages.kill("web")
        client.join()
    assert outages.ids("before") == []
    answer = outages.post_until_answered("before", "before")
    assert "Idempotent-Replayed" not in answer.headers
    assert outages.ids("before") == [answer.json()["id"]]
    return outages.ids("before")


def _post_without_response(outages, case):
    with pytest.raises(requests.RequestException):
        outages.product.api("POST", "/emails", mail(case), **{"Idempotency-Key": case})


def kill_web_after_commit(outages):
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
        (stored,) = wait_until(lambda: outages.ids("after"), what="the commit")
        outages.kill("web")  # the response, if there was one, was never read
    answer = outages.post_until_answered("after", "after")
    assert (answer.json()["id"], answer.headers["Idempotent-Replayed"]) == (stored, "true")
    assert outages.ids("after") == [stored]
    return [stored]


def kill_and_flush_redis(outages):
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


def crash_database(outages):
    outages.product.fault(latency_ms=2_000)
    before = outages.product.twin("mail/count")["count"]
    ids = outages.post("database")
    wait_until(
        lambda: outages.product.twin("mail/count")["count"] >= before + COUNT, what="the calls"
    )
    # As in a crash: sessions are aborted, and the next start runs crash recovery.
    psutil.Process(outages.product.facts["pids"]["postgres"]).send_signal(signal.SIGQUIT)
    outages.product.fault(latency_ms=0)
    wait_until(outages.has_database, what="PostgreSQL")
    outages.end_leases("events")
    outages.end_leases("provider_events")
    return ids


def kill_workers(outages):
    """(mails whose webhook requests were in flight, mails whose callbacks were not processed)"""
    outages.endpoint.begun = 0
    outages.endpoint.gate.clear()
    outgoing = outages.post("dispatcher")
    wait_until(lambda: outages.endpoint.begun >= COUNT, what="requests to the endpoint")
    wait_until(lambda: outages.are_delivered("dispatcher"), what="processing of callbacks")
    stopped = outages.processes("worker", "-Q database")
    for process in stopped:
        process.suspend()
    incoming = outages.post("callbacks")
    wait_until(
        lambda: outages.callbacks() == 2 * COUNT and outages.twin_is_quiet(),
        what="answered callbacks of Send and Delivery events",
    )
    for process in stopped + outages.processes("worker", "-Q webhooks"):
        process.kill()
    outages.endpoint.gate.set()
    outages.end_leases("webhook_deliveries")
    return outgoing, incoming
