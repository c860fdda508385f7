"""Error situations, each provoked with the client `resend`."""

import uuid

import pytest

NOBODY = "018f0000-0000-7000-8000-000000000000"


def play(client, mail, product):
    """[(situation, status and name of the error, exception class of the client)]"""
    return [(what, *_error(client, do)) for what, do in _situations(client, mail, product).items()]


def _situations(client, mail, product):
    send = client.Emails.send
    return {
        "no API key": lambda: _with_key(client, "", client.Emails.list),
        "an unknown or revoked API key": lambda: _with_key(client, "os_x", client.Emails.list),
        "an API key with sending access only": lambda: _as_sender(client, client.Domains.list),
        "an unverified domain": lambda: send(mail(**{"from": "a@nobodys.example"})),
        "a missing field": lambda: send(mail(subject=None)),
        "an invalid field": lambda: send(mail(to="nobody")),
        "an unsupported field": lambda: send(mail(template={"id": "welcome"})),
        "every recipient suppressed": lambda: _to_suppressed(client, mail),
        "an unknown id": lambda: client.Emails.get(NOBODY),
        "an idempotency key reused with another body": lambda: _twice(client, mail),
        "rescheduling an email that is not scheduled": lambda: _rescheduled(
            client, send(mail())["id"]
        ),
        "cancelling a cancelled email": lambda: _cancelled_twice(client, mail),
        "too many requests": lambda: exceed_rate_limit(client, product),
    }


def _error(client, do):
    with pytest.raises(client.exceptions.ResendError) as caught:
        do()
    error = caught.value
    assert error.message
    return f"{error.code} {error.error_type}", type(error).__name__


def _with_key(client, key, do):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "api_key", key)
        do()


def _as_sender(client, do):
    key = client.ApiKeys.create({"name": "sender", "permission": "sending_access"})
    _with_key(client, key["token"], do)


def _to_suppressed(client, mail):
    params = mail()
    client.Suppressions.add({"email": params["to"]})
    client.Emails.send(params)


def _twice(client, mail):
    options = {"idempotency_key": uuid.uuid4().hex}
    client.Emails.send(mail(), options)
    client.Emails.send(mail(subject="Something else"), options)


def _rescheduled(client, email_id):
    client.Emails.update({"id": email_id, "scheduled_at": "in 1 hour"})


def _cancelled_twice(client, mail):
    scheduled = client.Emails.send(mail(scheduled_at="in 1 hour"))
    for _ in range(2):
        client.Emails.cancel(scheduled["id"])


def exceed_rate_limit(client, product):
    """Exceed the workspace's rate limit, set to one request per second as an operator can."""
    change = "UPDATE workspaces SET rate_limit = {0}, rate_burst = {0} WHERE name = 'Conformance'"
    product.rows(change.format(1) + " RETURNING id")
    try:
        for _ in range(3):
            client.Emails.list()
    finally:
        product.rows(change.format("NULL") + " RETURNING id")
