"""The unmodified PyPI client `opensend` 0.1.0."""

import pytest

from tests.clients import wait_until


def test_it_sends_one_mail_and_a_batch(product, opensend_client, mail, somebody):
    people = [somebody() for _ in range(3)]
    params = mail(people[0])
    params["from_email"] = params.pop("from")
    one = opensend_client.emails.send(params)
    batch = opensend_client.emails.send_batch([mail(people[1]), mail(people[2])])
    ids = [one["id"], *(each["id"] for each in batch["data"])]
    for address, email_id in zip(people, ids, strict=True):
        (message,) = wait_until(lambda to=address: product.twin("mail", recipient=to))
        assert message["tags"]["opensend_email_id"] == email_id


def test_two_requests_with_one_idempotency_key_send_one_mail(opensend_client, mail, somebody):
    params, key = mail(somebody()), f"key-{somebody()}"
    first = opensend_client.emails.send(params, idempotency_key=key)
    assert opensend_client.emails.send(params, idempotency_key=key) == first
    batch = opensend_client.emails.send_batch([params], idempotency_key=key)
    assert opensend_client.emails.send_batch([params], idempotency_key=key) == batch


def test_its_errors_carry_status_name_message_and_details(opensend_client, opensend_module, mail):
    with pytest.raises(opensend_module.OpenSendError) as rejected:
        opensend_client.emails.send(mail("not an address"))
    assert rejected.value.status_code == 422
    assert rejected.value.name == "validation_error"
    assert rejected.value.message
    assert "to.0" in rejected.value.details["fields"]


def test_a_batch_with_one_bad_mail_sends_none(
    product, opensend_client, opensend_module, mail, somebody
):
    good = somebody()
    with pytest.raises(opensend_module.OpenSendError) as rejected:
        opensend_client.emails.send_batch([mail(good), mail("not an address")])
    assert rejected.value.status_code == 422
    assert "1.to.0" in rejected.value.details["fields"]
    assert product.rows(f"SELECT id FROM email_recipients WHERE address = '{good}'") == []


def test_the_module_level_client_works_too(product, opensend_module, mail, monkeypatch):
    monkeypatch.setattr(opensend_module, "api_key", product.facts["api_key"])
    monkeypatch.setattr(opensend_module, "base_url", product.facts["base_url"])
    assert opensend_module.Emails.send(mail())["id"]
