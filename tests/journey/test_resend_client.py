"""The unmodified PyPI client `resend` sends and retrieves mail."""

import email
import email.policy
from base64 import b64decode

import pytest

from tests.clients import wait_until


def accepted(product, address):
    """The one message that the provider accepted for this address."""

    def messages():
        return product.twin("mail", recipient=address)

    (message,) = wait_until(messages, what=f"mail to {address}")
    return message


def parsed(message):
    return email.message_from_bytes(b64decode(message["raw_base64"]), policy=email.policy.default)


def test_a_mail_with_names_and_several_recipients_arrives_as_written(
    product, resend_client, mail, somebody
):
    to, copy, blind = somebody(), somebody(), somebody()
    params = mail(
        f"Grace Hopper <{to}>",
        f"Zoë <{copy}>",
        bcc=[blind],
        reply_to="Answers <answers@demo.opensend.test>",
        subject="Grüße an alle",
        text="Hi there",
        headers={"X-Campaign": "spring"},
    )
    resend_client.Emails.send(params)
    message = accepted(product, blind)
    assert sorted(message["envelope"]["to"]) == sorted([to, copy, blind])
    read = parsed(message)
    assert read["From"] == "Ada Lovelace <ada@demo.opensend.test>"
    assert read["To"] == f"Grace Hopper <{to}>, Zoë <{copy}>"
    assert read["Bcc"] is None
    assert read["Reply-To"] == "Answers <answers@demo.opensend.test>"
    assert read["Subject"] == "Grüße an alle"
    assert read["X-Campaign"] == "spring"
    assert read.get_body(["plain"]).get_content().strip() == "Hi there"
    assert read.get_body(["html"]).get_content().strip() == "<p>Hi <b>there</b></p>"


def test_tags_are_sent_to_the_provider_and_returned(product, resend_client, mail, somebody):
    to = somebody()
    tags = [{"name": "campaign", "value": "spring"}, {"name": "team", "value": "blue"}]
    sent = resend_client.Emails.send(mail(to, tags=tags))
    assert accepted(product, to)["tags"] == {
        "campaign": "spring",
        "team": "blue",
        "opensend_email_id": sent["id"],
    }
    stored = resend_client.Emails.get(sent["id"])["tags"]
    assert sorted(stored, key=lambda tag: tag["name"]) == tags


def test_two_requests_with_one_idempotency_key_send_one_mail(
    product, resend_client, mail, somebody
):
    to = somebody()
    options = {"idempotency_key": f"once-{to}"}
    first = resend_client.Emails.send(mail(to), options)
    assert resend_client.Emails.send(mail(to), options)["id"] == first["id"]
    with pytest.raises(resend_client.exceptions.ResendError) as rejected:
        resend_client.Emails.send(mail(to, subject="Something else"), options)
    assert rejected.value.code == 409
    assert rejected.value.error_type == "invalid_idempotent_request"
    accepted(product, to)


def test_a_batch_is_sent_whole(product, resend_client, mail, somebody):
    people = [somebody() for _ in range(5)]
    answer = resend_client.Batch.send([mail(each) for each in people])
    assert len({each["id"] for each in answer["data"]}) == 5
    for each in people:
        accepted(product, each)


def test_sent_mail_can_be_retrieved_and_listed(resend_client, mail, somebody):
    to = somebody()
    sent = [resend_client.Emails.send(mail(to, subject=f"Number {n}"))["id"] for n in range(3)]
    read = wait_until(lambda: delivered(resend_client, sent[0]), what="delivery")
    assert read["object"] == "email"
    assert read["from"] == "Ada Lovelace <ada@demo.opensend.test>"
    assert read["to"] == [to]
    assert read["subject"] == "Number 0"
    assert read["html"] == "<p>Hi <b>there</b></p>"
    assert [each["status"] for each in read["recipients"]] == ["delivered"]

    page = resend_client.Emails.list({"limit": 2})
    assert [each["id"] for each in page["data"]] == [sent[2], sent[1]]
    assert page["has_more"] is True
    following = resend_client.Emails.list({"limit": 1, "after": sent[1]})
    assert [each["id"] for each in following["data"]] == [sent[0]]


def delivered(client, email_id):
    read = client.Emails.get(email_id)
    return read if read["last_event"] == "delivered" else None


def test_webhooks_are_listed_updated_and_removed(resend_client):
    webhook = resend_client.Webhooks.create(
        {"endpoint": "http://127.0.0.1:9999/hooks", "events": ["email.bounced"]}
    )
    assert webhook["signing_secret"].startswith("whsec_")
    resend_client.Webhooks.update(
        {"webhook_id": webhook["id"], "events": ["email.sent"], "status": "disabled"}
    )
    read = resend_client.Webhooks.get(webhook["id"])
    assert (read["events"], read["status"]) == (["email.sent"], "disabled")
    assert webhook["id"] in [each["id"] for each in resend_client.Webhooks.list()["data"]]
    assert resend_client.Webhooks.remove(webhook["id"])["deleted"] is True
    with pytest.raises(resend_client.exceptions.ResendError) as missing:
        resend_client.Webhooks.get(webhook["id"])
    assert missing.value.code == 404


@pytest.mark.parametrize(
    ("changes", "code", "error_type"),
    [
        ({"from": "ada@somebody-elses.example"}, 403, "domain_not_verified"),
        ({"to": ["not an address"]}, 422, "validation_error"),
        ({"subject": None}, 422, "missing_required_field"),
    ],
)
def test_a_rejection_raises_the_clients_own_error(resend_client, mail, changes, code, error_type):
    with pytest.raises(resend_client.exceptions.ResendError) as rejected:
        resend_client.Emails.send(mail(**changes))
    assert (rejected.value.code, rejected.value.error_type) == (code, error_type)


def test_an_invalid_key_has_its_own_error(resend_client, mail, monkeypatch):
    monkeypatch.setattr(resend_client, "api_key", "os_wrong")
    with pytest.raises(resend_client.exceptions.ResendError) as rejected:
        resend_client.Emails.send(mail())
    assert (rejected.value.code, rejected.value.error_type) == (403, "invalid_api_key")


def test_a_name_with_a_comma_is_delivered_and_its_events_arrive(
    product, resend_client, mail, somebody
):
    sent = resend_client.Emails.send(mail(f'"Müller, Jürgen" <{somebody()}>'))
    wait_until(
        lambda: resend_client.Emails.get(sent["id"])["last_event"] == "delivered", what="delivery"
    )
