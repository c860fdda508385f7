"""The samples in docs/webhooks.md work: starts its servers and runs its commands."""

import json
import re
import shlex
import subprocess
import time
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from requests.structures import CaseInsensitiveDict

from core.times import iso
from events.dispatch import dispatch_due
from tests.docs.sample_servers import PAGE, ROOT, SAMPLES, block, running
from tests.factories import example_fact, publish_committed
from webhooks import replay
from webhooks.dispatch import retry_policy, signing
from webhooks.dispatch.loop import deliver_due
from webhooks.dispatch.signing import Key, Keyring
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.services import create_endpoint

with_database = pytest.mark.django_db(transaction=True)

# Characters that JSON, JavaScript and HTTP may treat differently.
NAME = "Zoë \N{LINE SEPARATOR} \N{GRINNING FACE}"
KEY = Key.new()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with running(tmp_path_factory.mktemp("samples"), KEY.secret) as started:
        yield started


@pytest.fixture(params=list(SAMPLES))
def server(request, servers):
    return servers[request.param]


# --- The sample servers ---------------------------------------------------------------------


@pytest.fixture
def endpoint_at(workspace):
    """Creates an endpoint with the servers' signing secret."""

    def make(url):
        endpoint, _ = create_endpoint(workspace=workspace, url=url, event_types=["*"])
        endpoint.encrypted_keyring = Keyring((KEY,)).encrypted()
        endpoint.save()
        return endpoint

    return make


@pytest.fixture
def publish_example(workspace):
    """Publishes and dispatches the example event of a type, with `changes`."""

    def make(kind, **changes):
        (event,) = publish_committed([example_fact(workspace, kind, changes)])
        dispatch_due()
        return event

    return make


@with_database
def test_a_sample_stores_an_event_once(server, endpoint_at, publish_example):
    endpoint_at(server.url)
    event = publish_example("contact.created", first_name=NAME)
    before = server.stored()
    deliver_due()
    assert server.stored() == [*before, event.public_id]
    assert replay.replay([Delivery.objects.get()]) == 1
    deliver_due()
    assert [attempt.error for attempt in Attempt.objects.all()] == ["", ""]
    assert server.stored() == [*before, event.public_id]


def signed(body, *, key=KEY, event_id="whd_forged", age=0):
    return signing.headers(
        Keyring((key,)),
        event_id=event_id,
        attempt=1,
        timestamp=int(time.time()) - age,
        body=body,
    )


BODY = b'{"id": "whd_forged", "type": "contact.created", "data": {}}'
GARBAGE = {"webhook-signature": "garbage", "svix-signature": "garbage"}
NOT_BASE64 = {"webhook-signature": "v1,?", "svix-signature": "v1,?"}
FORGERIES = {
    "by another secret": signed(BODY, key=Key.new()),
    "of another body": signed(b"{}"),
    "with another id": signed(BODY, event_id="whd_real")
    | {"webhook-id": "whd_forged", "svix-id": "whd_forged"},
    "too old": signed(BODY, age=600),
    "garbage": signed(BODY) | GARBAGE,
    "not base64": signed(BODY) | NOT_BASE64,
    "unsigned": {},
}


@with_database  # not needed, but pytest-django groups such tests, so the servers start only once
def test_a_sample_rejects_forgeries(server):
    answers = {name: server.post(headers, BODY) for name, headers in FORGERIES.items()}
    assert answers == dict.fromkeys(FORGERIES, 400)
    assert "whd_forged" not in server.stored()
    assert server.post(signed(BODY, event_id="whd_genuine"), BODY) == 204
    assert "whd_genuine" in server.stored()


# --- Manual verification --------------------------------------------------------------------------


def function(name):
    namespace = {}
    exec(compile(block(name), name, "exec"), namespace)
    return namespace["is_genuine"]


def headers_of(forgery):
    return CaseInsensitiveDict(FORGERIES[forgery])


def test_manual_verification_of_x_signature():
    is_genuine = function("x_signature.py")
    headers = CaseInsensitiveDict(signed(BODY))
    assert is_genuine(headers, BODY, KEY.secret)
    assert not is_genuine(headers, b"{}", KEY.secret)
    assert not is_genuine(headers, BODY, Key.new().secret)
    assert not is_genuine(headers_of("too old"), BODY, KEY.secret)
    assert not is_genuine(headers_of("unsigned"), BODY, KEY.secret)


def test_manual_verification_of_v1a():
    is_genuine = function("v1a.py")
    old, new, other = (Key.new(ed25519=True) for _ in range(3))
    during = signing.headers(
        Keyring((new, Key(old.secret, old.private_key, 2**40))),
        event_id="whd_1",
        attempt=1,
        timestamp=int(time.time()),
        body=BODY,
    )
    headers = CaseInsensitiveDict(during)
    assert is_genuine(headers, BODY, old.public_key)
    assert is_genuine(headers, BODY, new.public_key)
    assert not is_genuine(headers, BODY, other.public_key)
    assert not is_genuine(headers, b"{}", new.public_key)
    late = CaseInsensitiveDict(signed(BODY, key=new, age=600))
    assert not is_genuine(late, BODY, new.public_key)
    for forgery in ("garbage", "not base64", "unsigned"):
        assert not is_genuine(headers_of(forgery), BODY, new.public_key)


# --- The commands ---------------------------------------------------------------------

SHOWN = re.findall(r"^```sh\n(.*?)^```\n(?:```json\n(.*?)^```$)?", PAGE, re.MULTILINE | re.DOTALL)
(PRELUDE,) = (commands for commands, _ in SHOWN if "os()" in commands)


def test_the_shorthand_is_curl():
    """Run in a real shell, with a curl that prints its arguments."""
    script = f"curl() {{ printf '%s\\n' \"$@\"; }}\n{PRELUDE}\nos POST /x -d '{{\"a\": 1}}'"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    arguments = ran.stdout.splitlines()
    assert arguments[:4] == ["-s", "-X", "POST", "http://127.0.0.1:8000/x"]
    assert arguments[4:8] == [
        "-H",
        "Authorization: Bearer os_...",
        "-H",
        "Content-Type: application/json",
    ]
    assert arguments[8:] == ["-d", '{"a": 1}']


@with_database
def test_the_commands_return_the_documented_responses(
    api, servers, domain, publish_example, capsys
):
    """In the order of the page, with an endpoint at one of the samples."""
    known = {"DOMAIN": domain.pk, "SINCE": iso(timezone.now() - timedelta(hours=1))}
    for commands, answer in SHOWN:
        if commands == PRELUDE:
            continue
        # So that there is always a failed delivery to show, replay and recover.
        Delivery.objects.update(status="failed", last_error="http_500", next_attempt_at=None)
        for words in split(commands):
            shown = run(api, [fill(word, known) for word in words], servers["flask"].url)
            learn(known, shown, publish_example)
        if answer:
            assert shape(json.loads(answer)) == shape(shown), commands
    assert Endpoint.objects.filter(deleted_at=None).count() == 1
    output = capsys.readouterr().out
    assert json.loads(output.splitlines()[-1])


def split(commands):
    """The words of each command, split like a shell does."""
    found = []
    for word in shlex.split(commands):
        if word.startswith("C="):  # make manage C="recover_webhook ..."
            found[-1] = ["manage.py", *word.removeprefix("C=").split()]
            continue
        if word in ("os", "make", "export"):
            found.append([])
        found[-1].append(word)
    return found


def fill(word, known):
    return re.sub(r"\$([A-Z]+)", lambda name: str(known[name[1]]), word)


def run(api, words, url):
    program, *rest = words
    if program == "manage.py":
        return call_command(*rest)
    if program == "export":
        return None
    method, path, *data = rest
    assert data[:1] in ([], ["-d"]), words
    body = json.loads(data[1]) if data else None
    if body and "endpoint" in body:
        assert body["endpoint"] == "https://you.example.com/hooks"
        body["endpoint"] = url
    answer = api.generic(
        method, path, json.dumps(body) if body else "", content_type="application/json"
    )
    assert answer.status_code < 300, (words, answer.content)
    return answer.json()


def learn(known, shown, publish_example):
    """Remember the ids that later commands need."""
    kind = shown and shown["object"]
    if kind == "webhook" and "WEBHOOK" not in known:
        known["WEBHOOK"] = shown["id"]
        known["EVENT"] = publish_example("email.bounced").public_id
        deliver_due()
    elif kind == "webhook" and shown["id"] != known["WEBHOOK"]:
        known["UNWANTED"] = shown["id"]
    elif kind == "webhook_recovery":
        known["RECOVERY"] = shown["id"]


def shape(shown):
    """The field names of a response, or of the first item of a list."""
    if isinstance(shown, dict):
        return {name: shape(value) for name, value in shown.items() if name != "payload"}
    return [shape(each) for each in shown[:1]] if isinstance(shown, list) else None


# --- The text -------------------------------------------------------------------------


def test_every_error_code_is_documented():
    found = set()
    for name, way in {
        "core/outbound/outcome.py": r'return "(\w+)", ',
        "core/outbound/urls.py": r'code(?:: str)? ?= ?"(\w+)"',
        "webhooks/dispatch/signed_request.py": r'_unsent\("(\w+)"',
        "webhooks/dispatch/claim.py": r'"last_error": "(\w+)"',
        "webhooks/cleanup.py": r"last_error = '(\w+)'",
    }.items():
        there = re.findall(way, (ROOT / name).read_text())
        assert there, name
        found.update(there)
    table = PAGE.split("| error | meaning |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == found


def test_the_documented_retry_schedule_is_the_real_one():
    *most, last = [_rendered(delay) for delay in retry_policy.DELAYS]
    assert f"{', '.join(most)} and {last}" in " ".join(PAGE.split())


def _rendered(delay):
    for unit, seconds in (("h", 3600), ("min", 60), ("s", 1)):
        if not delay.total_seconds() % seconds:
            return f"{delay.total_seconds() / seconds:.0f} {unit}"
    raise AssertionError(delay)


def test_links_resolve():
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("https://"):
            assert (ROOT / "docs" / target.partition("#")[0]).is_file(), target
