"""Whatever clients and dependencies do, probes, callbacks and the API are answered in time."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.clients import wait_until
from tests.journey.product import ROOT, Product
from tests.journey.test_signed_callbacks import envelope, open_event
from twin.ses.events import new_message_id

SECONDS = 2.0  # of probing, for each attack
EVERY = 0.2
LIMIT = 2.0  # seconds for one answer
FILE = {"filename": "a.txt", "content": "aGk="}

pytestmark = pytest.mark.chaos


@pytest.fixture(scope="module")
def product():
    with tempfile.TemporaryDirectory(
        prefix="opensend-attacks-", ignore_cleanup_errors=True
    ) as folder:
        running = Product(
            Path(folder),
            BLOB_STORE="s3://attachments",
            ATTACHMENT_ALLOW_HTTP="true",
            ATTACHMENT_ALLOWED_NETWORKS="127.0.0.0/8",
            LOG_LEVEL="ERROR",
        )
        try:
            yield running.start()
        finally:
            running.stop()


def request(product, method, path, body=None, **headers):
    """The bytes of a request with a key."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {urlsplit(product.facts['base_url']).netloc}",
        f"Authorization: Bearer {product.facts['api_key']}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


def mail(**fields):
    return {"from": "a@demo.opensend.test", "to": "b@example.com", "subject": "s", **fields}


@contextmanager
def held(product, *sent):
    """Connections that have sent these bytes, and read nothing."""
    url = urlsplit(product.facts["base_url"])
    with ExitStack() as stack:
        for each in sent:
            connection = stack.enter_context(socket.create_connection((url.hostname, url.port), 5))
            connection.sendall(each)
        time.sleep(0.3)
        yield


@contextmanager
def clients(product, count, sent):
    """Clients that give up after a second and try again."""
    port = str(urlsplit(product.facts["base_url"]).port)
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.impatient", port, str(count)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
    )
    try:
        process.stdin.write(sent)
        process.stdin.close()
        time.sleep(1.5)
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def hanging(product, count, request_to):
    """`count` requests that make the product ask a server which never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        sent = request_to(f"http://127.0.0.1:{server.getsockname()[1]}/file")
        with held(product, *[sent] * count):
            server.settimeout(5)
            with server.accept()[0]:
                yield


def stalled_bodies(product):
    rest = ("Content-Length: 1000\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    kinds = [
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{each}".encode()
        for path in ("/events/ses", "/emails", "/suppressions/import", "/t/u/x")
        for each in rest
    ]
    return held(product, *kinds * 50)


def silent_idle_and_slow_connections(product):
    idle = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return held(product, *[b"", idle, b"POST /emails HT"] * 300)


def webhook_tests_that_hang(product):
    def test(url):
        hook = product.api("POST", "/webhooks", {"endpoint": url, "events": ["*"]}).json()
        return request(product, "POST", f"/webhooks/{hook['id']}/test", {})

    return hanging(product, 24, test)


def attachments_that_hang(product):
    def send(url):
        return request(product, "POST", "/emails", mail(text="t", attachments=[{"path": url}]))

    return hanging(product, 40, send)


@contextmanager
def aws_that_hangs(product):
    """S3 for attachments, in a transaction because of the Idempotency-Key, and SES for domains."""
    body = mail(text="t", attachments=[FILE])
    (domain,) = product.get("/domains")["data"]
    sent = [
        request(product, "POST", "/emails", body, **{"Idempotency-Key": f"{time.time_ns()}-{n}"})
        for n in range(80)
    ]
    sent += [request(product, "POST", f"/domains/{domain['id']}/verify")] * 16
    twin = product.facts["pids"]["twin"]
    os.kill(twin, signal.SIGSTOP)
    try:
        with held(product, *sent):
            yield
    finally:
        os.kill(twin, signal.SIGCONT)


def more_batches_than_are_served(product):
    # Nothing is sent: the workers would have a share of the processors that depends on the machine.
    batch = [mail(html="<p>x</p>", scheduled_at="in 1 hour")] * 5
    return clients(product, 60, request(product, "POST", "/emails/batch", batch))


def many_readers_of_the_documentation(product):
    return held(product, *[b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"] * 40)


ATTACKS = [
    stalled_bodies,
    silent_idle_and_slow_connections,
    webhook_tests_that_hang,
    attachments_that_hang,
    aws_that_hangs,
    more_batches_than_are_served,
    many_readers_of_the_documentation,
]


def signed_callback(product):
    event = open_event("x", new_message_id("us-east-1", time.time()))
    return json.dumps(envelope(product.facts, event, version="2"))


def post_callback(product, body):
    headers = {"Content-Type": "text/plain", "x-amz-sns-message-type": "Notification"}
    url = product.facts["base_url"] + "/events/ses"
    return requests.post(url, body, headers=headers, timeout=LIMIT)


def probe(product):
    """What was answered, and what was not in time, by kind."""
    url, key = product.facts["base_url"], {"Authorization": f"Bearer {product.facts['api_key']}"}
    kinds = {
        "/healthz": lambda _: requests.get(f"{url}/healthz", timeout=LIMIT),
        "callbacks": lambda body: post_callback(product, body),
        "API": lambda _: requests.get(f"{url}/emails?limit=1", headers=key, timeout=LIMIT),
    }
    answers = Counter()

    def ask(kind, body):
        begun = time.monotonic()
        try:
            status = kinds[kind](body).status_code
        except requests.RequestException:
            status = "none"
        late = " late" if time.monotonic() - begun > LIMIT else ""
        answers[f"{kind}: {status}{late}"] += 1

    threads = []
    for body in [signed_callback(product) for _ in range(int(SECONDS / EVERY))]:
        for kind in kinds:
            threads.append(threading.Thread(target=ask, args=[kind, body]))
            threads[-1].start()
        time.sleep(EVERY)
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_everybody_else_is_answered_during(product, attack, say):
    for _ in range(8):  # each process keeps the certificate of SNS from here on
        assert post_callback(product, signed_callback(product)).status_code == 200
    with attack(product):
        answers = probe(product)
    say(f"{attack.__name__}: {dict(answers)}")
    if attack is more_batches_than_are_served:  # by the API, so that it may refuse some
        answers = Counter({what: n for what, n in answers.items() if not what.startswith("API")})
    else:
        assert answers.pop("API: 200", 0)
    assert answers.keys() == {"/healthz: 200", "callbacks: 200"}
    wait_until(
        lambda: product.api("GET", "/emails?limit=1").status_code == 200,
        seconds=5,
        what="the API after the attack",
    )
