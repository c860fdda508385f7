"""`make watch` says of every webhook whether its signature is right, and why not."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
import requests

from devstack.demo_receiver import ReceivedWebhook, signature_problem
from devstack.watch import line, summary
from tests.clients import wait_until
from tests.journey.product import ROOT
from webhooks.dispatch import signing
from webhooks.dispatch.signing import Key, Keyring

KEY = Key.new()
BODY = b'{"id": "whd_1", "type": "email.sent", "data": {"to": "Zo\xc3\xab"}}'
NOW = 1_790_000_000
SENT = re.compile(r"email\.sent +whd_\S+  signature verified  \{")


def signed(*, body=BODY, age=0, **changes):
    """The headers of a request, in lower case as the receiver has them; None removes one."""
    made = signing.headers(
        Keyring((KEY,)), event_id="whd_1", attempt=1, timestamp=NOW - age, body=body
    )
    made = {name.lower(): value for name, value in made.items()}
    made |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in made.items() if value is not None}


def test_a_genuine_request_has_no_problem():
    assert signature_problem(signed(), BODY, secret=KEY.secret, now=NOW) is None
    assert signature_problem(signed(age=299), BODY, secret=KEY.secret, now=NOW) is None


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({}, "no header webhook-id, webhook-timestamp, webhook-signature, x-signature"),
        (signed(webhook_id=None), "no header webhook-id"),
        (signed(x_signature=""), "no header x-signature"),
        (signed(webhook_timestamp="soon"), "webhook-timestamp is no number: soon"),
        (signed(webhook_timestamp="\u0661"), "webhook-timestamp is no number: \u0661"),
        (signed(age=600), "webhook-timestamp is 600 s old"),
        (signed(age=-400), "webhook-timestamp is 400 s in the future"),
        (signed(body=b"{}"), "webhook-signature does not match the body and the secret"),
        (signed(webhook_signature="garbage \xfc"), "webhook-signature does not match"),
        (signed(webhook_id="whd_2"), "webhook-signature does not match"),
        (signed(x_signature="0" * 64), "X-Signature does not match the body"),
    ],
)
def test_a_wrong_request_has_its_reason(headers, problem):
    found = signature_problem(headers, BODY, secret=KEY.secret, now=NOW)
    assert found.startswith(problem)


def test_a_line_has_the_type_the_id_and_the_verdict():
    event = {"type": "email.sent", "data": {"to": "a"}}
    assert line(ReceivedWebhook("whd_1", event, None)).split(None, 2) == [
        "email.sent",
        "whd_1",
        'signature verified  {"to": "a"}',
    ]
    mailbox = ReceivedWebhook("whd_2", {"event": "message.received"}, "it is old")
    assert line(mailbox).split(None, 2)[:2] == ["message.received", "whd_2"]
    assert "signature WRONG: it is old" in line(mailbox)
    assert line(ReceivedWebhook("", {}, "no header")).startswith("? ")


def test_the_summary_counts():
    assert summary(Counter()) == "0 webhooks: 0 verified"
    assert summary(Counter({True: 3})) == "3 webhooks: 3 verified"
    assert summary(Counter({True: 3, False: 1})) == "4 webhooks: 3 verified, 1 WRONG"


def test_it_prints_real_webhooks_forgeries_and_a_summary(product, tmp_path, mail):
    before = product.get("/webhooks")["data"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "devstack.watch"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "VAR_DIR": str(product.var_dir)},
            stdout=output,
            stderr=output,
        )
    try:
        url = wait_until(lambda: re.search(r"http://127\S+/", log.read_text()))[0]
        product.api("POST", "/emails", mail()).raise_for_status()
        # The events of other tests may come before.
        wait_until(lambda: SENT.search(log.read_text()), what="the webhook")
        now = {"webhook-timestamp": str(int(time.time())), "x-signature": "0" * 64}
        forged = {"webhook-id": "whd_x", "webhook-signature": "v1,x", **now}
        assert requests.post(url, data=BODY, headers=forged, timeout=5).status_code == 400
        assert requests.post(url, data=b"not json", headers=forged, timeout=5).status_code == 400
        wait_until(lambda: log.read_text().count("signature WRONG") == 2, what="the forgeries")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 1  # of use to a script: something was wrong
    finally:
        process.kill()
        process.wait()
    printed = log.read_text()
    assert re.search(r"email\.sent +whd_x  signature WRONG: webhook-signature does", printed)
    assert re.search(r"\d+ webhooks: \d+ verified, 2 WRONG\n$", printed)
    assert product.get("/webhooks")["data"] == before


def test_it_says_that_nothing_is_running(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "devstack.watch"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("watch: nothing is running here")
