"""What can go wrong when one calls, done to the client `resend`."""

import uuid

import pytest

NOBODY = "018f0000-0000-7000-8000-000000000000"


def play(client, mail, product):
    """[(what was done, status and name of the error, class that the client raised)]"""
    return [(what, *_error(client, do)) for what, do in _situations(client, mail, product).items()]


def _situations(client, mail, product):
    send = client.Emails.send
    return {
        "no API key": lambda: _with_key(client, "", client.Emails.list),
        "a key that is unknown or revoked": lambda: _with_key(client, "os_x", client.Emails.list),
        "a key that may only send": lambda: _as_sender(client, client.Domains.list),
        "a domain that is not verified": lambda: send(mail(**{"from": "a@nobodys.example"})),
        "a field is missing": lambda: send(mail(subject=None)),
        "a field is wrong": lambda: send(mail(to="nobody")),
        "a field that has no counterpart": lambda: send(mail(template={"id": "welcome"})),
        "every recipient is suppressed": lambda: _to_suppressed(client, mail),
        "nothing with this id": lambda: client.Emails.get(NOBODY),
        "an idempotency key with another body": lambda: _twice(client, mail),
        "a mail that is not scheduled is moved": lambda: _moved(client, send(mail())["id"]),
        "a mail that is cancelled is cancelled": lambda: _cancelled_twice(client, mail),
        "too many requests": lambda: ask_too_often(client, product),
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
    made = client.ApiKeys.create({"name": "sender", "permission": "sending_access"})
    _with_key(client, made["token"], do)


def _to_suppressed(client, mail):
    params = mail()
    client.Suppressions.add({"email": params["to"]})
    client.Emails.send(params)


def _twice(client, mail):
    options = {"idempotency_key": uuid.uuid4().hex}
    client.Emails.send(mail(), options)
    client.Emails.send(mail(subject="Something else"), options)


def _moved(client, email_id):
    client.Emails.update({"id": email_id, "scheduled_at": "in 1 hour"})


def _cancelled_twice(client, mail):
    scheduled = client.Emails.send(mail(scheduled_at="in 1 hour"))
    for _ in range(2):
        client.Emails.cancel(scheduled["id"])


def ask_too_often(client, product):
    """With the limit of this workspace set to one request a second, as an operator can."""
    change = "UPDATE workspaces SET rate_limit = {0}, rate_burst = {0} WHERE name = 'Conformance'"
    product.rows(change.format(1) + " RETURNING id")
    try:
        for _ in range(3):
            client.Emails.list()
    finally:
        product.rows(change.format("NULL") + " RETURNING id")
