"""Resend's own Python client, sync and async, manages domains here."""

import asyncio

import pytest
import resend

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _client(live_server, api_key, twin, monkeypatch):
    monkeypatch.setattr(resend, "api_url", live_server.url)
    monkeypatch.setattr(resend, "api_key", api_key[1])


def test_a_domain_from_its_creation_to_its_end():
    made = resend.Domains.create(
        {"name": "shop.example", "region": "eu-west-1", "click_tracking": True}
    )
    assert made["region"] == "eu-west-1"
    assert (made["open_tracking"], made["click_tracking"]) == (False, True)
    changed = resend.Domains.update(
        {"id": made["id"], "open_tracking": True, "click_tracking": False, "tls": "opportunistic"}
    )
    assert (changed["open_tracking"], changed["click_tracking"]) == (True, False)
    got = resend.Domains.get(made["id"])
    assert got["capabilities"] == {"sending": "enabled", "receiving": "disabled"}
    for answer in (got, changed):
        del answer["http_headers"]  # the client's own addition
    assert got == changed == resend.Domains.list()["data"][0]
    assert resend.Domains.remove(made["id"])["deleted"]


def test_the_async_client_changes_a_domain_too():
    made = resend.Domains.create({"name": "shop.example", "open_tracking": True})
    change = {"id": made["id"], "open_tracking": False}
    assert asyncio.run(resend.Domains.update_async(change))["open_tracking"] is False


def test_what_cannot_be_done_is_the_clients_own_error():
    made = resend.Domains.create({"name": "shop.example"})
    with pytest.raises(resend.exceptions.ResendError) as refused:
        resend.Domains.update({"id": made["id"], "tls": "enforced"})
    assert (refused.value.code, refused.value.error_type) == (422, "unsupported_field")
    assert "`tls`" in refused.value.message
