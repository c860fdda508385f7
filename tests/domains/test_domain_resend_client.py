"""Resend's Python client, sync and async, manages domains."""

import asyncio

import pytest
import resend

from tests.clients import use_resend

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _client(live_server, api_key, twin, monkeypatch):
    use_resend(monkeypatch, live_server.url, api_key[1])


def test_the_lifecycle_of_a_domain():
    created = resend.Domains.create(
        {"name": "shop.example", "region": "eu-west-1", "click_tracking": True}
    )
    assert created["region"] == "eu-west-1"
    assert (created["open_tracking"], created["click_tracking"]) == (False, True)
    changed = resend.Domains.update(
        {
            "id": created["id"],
            "open_tracking": True,
            "click_tracking": False,
            "tls": "opportunistic",
        }
    )
    assert (changed["open_tracking"], changed["click_tracking"]) == (True, False)
    got = resend.Domains.get(created["id"])
    assert got["capabilities"] == {"sending": "enabled", "receiving": "disabled"}
    for answer in (got, changed):
        del answer["http_headers"]  # the client's own addition
    assert got == changed == resend.Domains.list()["data"][0]
    assert resend.Domains.remove(created["id"])["deleted"]


def test_the_async_client_updates_a_domain():
    created = resend.Domains.create({"name": "shop.example", "open_tracking": True})
    change = {"id": created["id"], "open_tracking": False}
    assert asyncio.run(resend.Domains.update_async(change))["open_tracking"] is False


def test_an_unsupported_field_raises_the_clients_error():
    created = resend.Domains.create({"name": "shop.example"})
    with pytest.raises(resend.exceptions.ResendError) as refused:
        resend.Domains.update({"id": created["id"], "tls": "enforced"})
    assert (refused.value.code, refused.value.error_type) == (422, "unsupported_field")
    assert "`tls`" in refused.value.message
