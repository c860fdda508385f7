"""The unmodified npm client `resend`, old and new, sends what Node.js programs send."""

import email
import email.policy
import json
from base64 import b64decode, b64encode

import pytest

from tests.journey.product import wait_until
from tests.node_scripts import running

LIBRARIES = ["resend", "resend-old"]
PDF = b"%PDF-1.7 \x00\xff\xfe" + bytes(range(256))
CALENDAR = "BEGIN:VCALENDAR\r\nSUMMARY:Grüße\r\nEND:VCALENDAR\r\n"


@pytest.fixture(params=LIBRARIES)
def call(request, product, monkeypatch):
    """`call("emails.send", {...})`: the client's data; AssertionError for an error of the client.

    The base URL ends with a slash, as people write it.
    """
    monkeypatch.setenv("RESEND_BASE_URL", product.facts["base_url"] + "/")
    monkeypatch.setenv("RESEND_API_KEY", product.facts["api_key"])
    with running("send.mjs") as node:

        def call(name, given):
            line = json.dumps({"library": request.param, "call": name, "given": given})
            node.stdin.write(line + "\n")
            node.stdin.flush()
            result = json.loads(node.stdout.readline())
            assert result["error"] is None, result["error"]
            return result["data"]

        yield call


@pytest.fixture
def node_mail(somebody):
    """The parameters of a mail as Node.js programs spell them."""

    def mail(**fields):
        return {
            "from": "Ada <ada@demo.opensend.test>",
            "to": somebody(),
            "subject": "Hello",
            "html": "<p>Hi</p>",
            **fields,
        }

    return mail


def buffer(content):
    return {"bytes": b64encode(content).decode()}


def arrived(product, address):
    (message,) = wait_until(lambda: product.twin("mail", recipient=address), what="the mail")
    return email.message_from_bytes(b64decode(message["raw_base64"]), policy=email.policy.default)


def files(message):
    return {
        part.get_filename(): (part.get_content_type(), part.get_payload(decode=True))
        for part in message.walk()
        if part.get_filename()
    }


def test_a_file_read_into_a_buffer_arrives(call, product, node_mail):
    params = node_mail(
        attachments=[
            {"filename": "invoice.pdf", "content": buffer(PDF)},
            {"filename": "data", "content": buffer(b"{}"), "contentType": "application/json"},
            {"filename": "empty.txt", "content": buffer(b"")},
            {"filename": "base64.txt", "content": b64encode(b"hi").decode()},
        ],
        replyTo="answers@demo.opensend.test",
        headers={"X-Number": 7, "X-Flag": True},
    )
    sent = call("emails.send", params)
    message = arrived(product, params["to"])
    assert files(message) == {
        "invoice.pdf": ("application/pdf", PDF),
        "data": ("application/json", b"{}"),
        "empty.txt": ("text/plain", b""),
        "base64.txt": ("text/plain", b"hi"),
    }
    assert message["Reply-To"] == "answers@demo.opensend.test"
    assert (message["X-Number"], message["X-Flag"]) == ("7", "true")
    assert call("emails.get", sent["id"])["to"] == [params["to"]]


def test_a_calendar_arrives_as_it_is(call, product, node_mail):
    item = {"filename": "invite.ics", "content": CALENDAR, "contentType": "text/calendar"}
    params = node_mail(attachments=[item])
    call("emails.send", params)
    (part,) = list(arrived(product, params["to"]).iter_attachments())
    assert (part.get_content_type(), part.get_content_charset()) == ("text/calendar", "utf-8")
    assert part.get_payload(decode=True).decode() == CALENDAR


def test_a_batch_is_spelled_like_single_mails(call, product, node_mail):
    batch = [
        node_mail(replyTo="answers@demo.opensend.test"),
        node_mail(scheduledAt="in 1 hour"),
    ]
    first, second = call("batch.send", batch)["data"]
    assert arrived(product, batch[0]["to"])["Reply-To"] == "answers@demo.opensend.test"
    assert product.get(f"/emails/{first['id']}")["scheduled_at"] is None
    assert product.get(f"/emails/{second['id']}")["status"] == "scheduled"


def test_a_mail_is_scheduled_rescheduled_and_cancelled(call, product, node_mail):
    sent = call("emails.send", node_mail(scheduledAt="Friday at 3pm ET"))
    changed = call("emails.update", {"id": sent["id"], "scheduledAt": "tomorrow at 9am PST"})
    assert changed["id"] == sent["id"]
    assert product.get(f"/emails/{sent['id']}")["scheduled_at"].startswith("20")
    call("emails.cancel", sent["id"])
    assert product.get(f"/emails/{sent['id']}")["status"] == "cancelled"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("delivered", "delivered"),
        ("bounced", "bounced"),
        ("complained", "complained"),
        ("suppressed", "bounced"),
    ],
)
def test_the_test_addresses_work_again_and_again(call, product, node_mail, hook, name, status):
    address = f"{name}+signup@resend.dev"
    for _ in range(2):
        sent = call("emails.send", node_mail(to=[address]))

        def shown(sent=sent):
            return product.get(f"/emails/{sent['id']}")

        wait_until(lambda: shown()["status"] == status, what=status)
        assert [(each["address"], each["status"]) for each in shown()["recipients"]] == [
            (address, status)
        ]
        wait_until(lambda sent=sent: f"email.{status}" in hook.types[sent["id"]])
        bodies = [request.body for request in hook.events(sent["id"])]
        assert all(address.encode() in body for body in bodies)
        assert not any(b"simulator.amazonses.com" in body for body in bodies)
    assert not product.get("/suppressions?email=" + address.replace("+", "%2B"))["data"]
