"""What clients know of and we do not have: a 404 in JSON to every method, that says what to do."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

SOMETHING = "018f0000-0000-7000-8000-000000000000"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
ABSENT = {
    "/emails/metrics": "Prometheus",
    f"/emails/{SOMETHING}/share": "no public links",
    f"/emails/receiving/{SOMETHING}": "No mail has been received",
    f"/emails/receiving/{SOMETHING}/attachments": "No mail has been received",
    f"/emails/receiving/{SOMETHING}/attachments/{SOMETHING}": "No mail has been received",
    "/domains/claim": "cannot be claimed",
    f"/domains/{SOMETHING}/claim": "cannot be claimed",
    f"/domains/{SOMETHING}/claim/verify": "cannot be claimed",
    "/contacts/imports": "POST /contacts",
    f"/contacts/imports/{SOMETHING}": "POST /contacts",
    "/contacts/a/b@example.net/topics": "no topics",
    "/contacts/ann@example.net/segments": "no segments",
    f"/contacts/ann@example.net/segments/{SOMETHING}": "no segments",
    "/audiences": "no audiences",
    f"/segments/{SOMETHING}/contacts": "no segments",
}
# Whole families of Resend's clients.
UNKNOWN = [
    "/broadcasts",
    f"/broadcasts/{SOMETHING}/send",
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


def refused(answer, said):
    assert answer.status_code == 404, answer.content
    assert answer["content-type"] == "application/json"
    assert answer["x-request-id"]
    body = answer.json()
    assert (body["statusCode"], body["name"]) == (404, "not_found")
    assert said in body["message"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_path_without_a_counterpart_says_so(api, prefix, method):
    for url, said in ABSENT.items():
        refused(api.generic(method, prefix + url, b"{}", content_type="application/json"), said)


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_path_is_a_404_in_json_to_every_method(method):
    for url in UNKNOWN:
        for prefix in ("", "/api"):
            answer = Client(enforce_csrf_checks=True).generic(method, prefix + url, b"not JSON")
            refused(answer, f"There is no {prefix}{url}. The paths are listed at")


def test_what_is_absent_is_told_to_nobody_without_a_key():
    for url in ABSENT:
        assert Client().post(url).status_code == 401
