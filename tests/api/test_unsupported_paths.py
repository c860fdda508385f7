"""Paths that clients know but OpenSend does not support: a JSON 404 with advice on every method."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

ANY_ID = "018f0000-0000-7000-8000-000000000000"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
UNSUPPORTED = {
    "/emails/metrics": "Prometheus",
    f"/emails/{ANY_ID}/share": "no public links",
    f"/emails/receiving/{ANY_ID}": "No mail has been received",
    f"/emails/receiving/{ANY_ID}/attachments": "No mail has been received",
    f"/emails/receiving/{ANY_ID}/attachments/{ANY_ID}": "No mail has been received",
    "/domains/claim": "cannot be claimed",
    f"/domains/{ANY_ID}/claim": "cannot be claimed",
    f"/domains/{ANY_ID}/claim/verify": "cannot be claimed",
    "/contacts/imports": "POST /contacts",
    f"/contacts/imports/{ANY_ID}": "POST /contacts",
    "/contacts/a/b@example.net/topics": "no topics",
    "/contacts/ann@example.net/segments": "no segments",
    f"/contacts/ann@example.net/segments/{ANY_ID}": "no segments",
    "/audiences": "no audiences",
    f"/segments/{ANY_ID}/contacts": "no segments",
}
# Whole method families of Resend's clients.
UNKNOWN = [
    "/broadcasts",
    f"/broadcasts/{ANY_ID}/send",
    "/topics",
    "/templates",
    "/automations",
    "/contact-properties",
    "/inboxes",
    "/logs",
    "/usage",
    "/oauth/grants",
    "/events/send",
]


def assert_not_found(answer, expected):
    assert answer.status_code == 404, answer.content
    assert answer["content-type"] == "application/json"
    assert answer["x-request-id"]
    body = answer.json()
    assert (body["statusCode"], body["name"]) == (404, "not_found")
    assert expected in body["message"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prefix", ["", "/api"])
def test_an_unsupported_path_explains_itself(api, prefix, method):
    for url, expected in UNSUPPORTED.items():
        answer = api.generic(method, prefix + url, b"{}", content_type="application/json")
        assert_not_found(answer, expected)


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_path_is_a_json_404_for_every_method(method):
    for url in UNKNOWN:
        for prefix in ("", "/api"):
            answer = Client(enforce_csrf_checks=True).generic(method, prefix + url, b"not JSON")
            assert_not_found(answer, f"There is no {prefix}{url}. The paths are listed at")


def test_unsupported_paths_require_an_api_key():
    for url in UNSUPPORTED:
        assert Client().post(url).status_code == 401
