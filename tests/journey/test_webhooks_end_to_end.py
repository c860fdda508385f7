"""The webhooks that an endpoint receives for a mail, and how it verifies them."""

import hashlib
import hmac

import pytest
import resend
import standardwebhooks
import svix

from tests.clients import wait_until


def received(hook, email_id, *types):
    """The requests about one email, once all of these event types arrived."""
    expected = {f"email.{name}" for name in types}
    wait_until(lambda: expected <= hook.types[email_id], what=f"{expected} for {email_id}")
    return hook.events(email_id)


def test_a_delivered_mail_is_reported_as_sent_and_delivered(hook, resend_client, mail, somebody):
    to = somebody()
    params = mail(f"Grace <{to}>", tags=[{"name": "team", "value": "blue"}])
    sent = resend_client.Emails.send(params)
    requests = {
        each.event["type"]: each for each in received(hook, sent["id"], "sent", "delivered")
    }
    assert requests.keys() == {"email.sent", "email.delivered"}
    event = requests["email.delivered"].event
    assert event["id"].startswith("whd_")
    assert event["data"]["to"] == [f"Grace <{to}>"]
    assert event["data"]["recipient"] == to
    assert event["data"]["from"] == params["from"]
    assert event["data"]["subject"] == "Hello"
    assert event["data"]["tags"] == {"team": "blue"}
    assert event["data"]["delivery"]["recipients"] == [to]
    assert "amazonses.com" in event["data"]["message_id"]
    assert requests["email.delivered"].headers["content-type"] == "application/json"


def test_a_bounce_is_reported_and_suppresses_the_address(hook, resend_client, mail, somebody):
    to = somebody("bounce.twin.test")
    sent = resend_client.Emails.send(mail(to))
    bounced = received(hook, sent["id"], "sent", "bounced")[-1].event
    assert bounced["data"]["bounce"]["type"] == "Permanent"
    assert bounced["data"]["recipient"] == to

    def suppressed():
        added = [each.event for each in hook.received if each.event["type"] == "suppression.added"]
        return [each["data"]["email"] for each in added if each["data"]["email"] == to]

    assert wait_until(suppressed, what="suppression.added") == [to]
    with pytest.raises(resend_client.exceptions.ResendError) as rejected:
        resend_client.Emails.send(mail(to))
    assert (rejected.value.code, rejected.value.error_type) == (422, "recipient_suppressed")
    # Other recipients of the same mail still receive it.
    both = resend_client.Emails.send(mail(to, somebody()))
    received(hook, both["id"], "suppressed", "sent", "delivered")


def test_every_verifier_accepts_each_request_and_rejects_a_forged_one(hook, resend_client, mail):
    sent = resend_client.Emails.send(mail())
    for request in received(hook, sent["id"], "sent", "delivered"):
        assert_accepted_by_all(request, hook.secret)
        headers = request.headers
        assert headers["webhook-id"] == headers["svix-id"] == headers["x-event-id"]
        assert headers["webhook-id"] == request.event["id"]
        assert headers["x-attempt"] == "1"


def assert_accepted_by_all(request, secret):
    headers, body = request.headers, request.body
    forged = body.replace(b"Hello", b"Jello")
    assert forged != body
    svix.Webhook(secret).verify(body, headers)
    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(secret).verify(forged, headers)
    assert standardwebhooks.Webhook(secret).verify(body, headers) == request.event
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(forged, headers)
    options = {
        "headers": {name: headers[f"svix-{name}"] for name in ("id", "timestamp", "signature")},
        "webhook_secret": secret,
    }
    assert resend.Webhooks.verify({**options, "payload": body.decode()}) == request.event
    with pytest.raises(ValueError, match="no matching signature"):
        resend.Webhooks.verify({**options, "payload": forged.decode()})
    signed = headers["x-timestamp"].encode() + b"." + body
    assert headers["x-signature"] == hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("domain", "types", "status", "last_event"),
    [
        ("complaint.twin.test", ["sent", "delivered", "complained"], "complained", "complained"),
        ("softbounce.twin.test", ["sent", "bounced"], "soft_bounced", "bounced"),
        ("delay.twin.test", ["sent", "delivery_delayed", "delivered"], "delivered", "delivered"),
        ("reject.twin.test", ["sent", "failed"], "failed", "failed"),
        ("renderingfailure.twin.test", ["sent", "failed"], "failed", "failed"),
    ],
)
def test_each_outcome_of_a_mail_is_reported_and_stored(
    hook, resend_client, mail, somebody, domain, types, status, last_event
):
    sent = resend_client.Emails.send(mail(somebody(domain)))
    received(hook, sent["id"], *types)
    read = resend_client.Emails.get(sent["id"])
    assert (read["status"], read["last_event"]) == (status, last_event)
    assert [each["status"] for each in read["recipients"]] == [status]
    assert hook.types[sent["id"]] == {f"email.{name}" for name in types}
