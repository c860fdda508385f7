"""API errors: always JSON, always the same shape, never a 500 for a client's mistake."""

import json

import pytest
from django.test import Client
from django.urls import path

from tests.clients import sending_client

pytestmark = pytest.mark.django_db
ENVELOPE = {"statusCode", "name", "message"}
EMAIL = {"from": "a@example.com", "to": "b@example.net", "subject": "s", "text": "t"}


def assert_error(answer, status, name):
    assert answer.status_code == status, answer.content
    assert answer["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() >= ENVELOPE
    assert (body["statusCode"], body["name"]) == (status, name)
    assert body["message"]
    assert answer["x-request-id"]
    return body


def post_raw(api, raw, path="/api-keys", content_type="application/json", **headers):
    return api.generic("POST", path, raw, content_type=content_type, headers=headers)


def test_a_missing_key_is_401_and_explains_how_to_send_one():
    for client in (Client(), Client(headers={"Authorization": "Basic YTpi"})):
        answer = client.get("/emails")
        assert_error(answer, 401, "missing_api_key")
        assert answer["www-authenticate"] == "Bearer"
    assert_error(
        Client(headers={"Authorization": "Bearer "}).get("/emails"), 401, "missing_api_key"
    )


@pytest.mark.parametrize("token", ["os_unknown", "x" * 10_000, "ü", "os_a b", "\x00"])
def test_an_unknown_key_is_403(client_for, token):
    assert_error(client_for(token).get("/emails"), 403, "invalid_api_key")


def test_a_sending_key_can_do_nothing_else(workspace):
    client = sending_client(workspace)
    for url in ("/api-keys", "/domains", "/webhooks"):
        assert_error(client.get(url), 403, "restricted_api_key")
        assert_error(client.post(url, {}), 403, "restricted_api_key")


@pytest.mark.parametrize(
    "url", ["/nothing", "/nothing/", "/api/nothing", "/emails/a/b/c", "/%00", "/%ff", "/.env"]
)
def test_an_unknown_path_is_a_json_404(url):
    assert_error(Client().get(url), 404, "not_found")


@pytest.mark.parametrize(
    "given", ["nonsense", "1", "%00", "a" * 5000, "'", "0" * 31, "%F0%9F%98%80"]
)
@pytest.mark.parametrize("kind", ["emails", "domains", "webhooks", "api-keys"])
def test_a_malformed_id_is_a_404(api, kind, given):
    assert_error(api.get(f"/{kind}/{given}"), 404, "not_found")


def test_an_unknown_id_is_a_404(api):
    for url in ("/emails/{}", "/emails/{}/events", "/domains/{}", "/webhooks/{}", "/api-keys/{}"):
        assert_error(api.get(url.format("01890000-0000-7000-8000-000000000000")), 404, "not_found")


@pytest.mark.parametrize("url", ["/emails", "/emails/batch", "/api-keys", "/domains"])
def test_an_unsupported_method_is_405_with_an_allow_header(api, url):
    answer = api.put(url, {})
    assert_error(answer, 405, "method_not_allowed")
    assert "POST" in answer["allow"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
def test_a_content_type_other_than_json_is_415(api, content_type):
    answer = post_raw(api, b'{"name": "x"}', content_type=content_type)
    message = assert_error(answer, 415, "unsupported_media_type")["message"]
    assert "application/json" in message
    assert f"`{content_type}`" in message


def test_json_may_declare_a_charset(api):
    answer = post_raw(api, b'{"name": "x"}', content_type="application/json; charset=utf-8")
    assert answer.status_code == 201


def test_a_client_that_does_not_accept_json_gets_a_json_406(api):
    answer = api.get("/emails", headers={"Accept": "text/html"})
    assert "application/json" in assert_error(answer, 406, "not_acceptable")["message"]


def test_the_format_parameter_is_ignored(api):
    assert api.get("/emails?format=xml").content == api.get("/emails").content


@pytest.mark.parametrize("raw", [b"[" * 1200, b'{"a":' * 1200, b"[" * 1200 + b"]" * 1200])
def test_deeply_nested_json_has_its_own_message(api, raw):
    assert "nested too deeply" in assert_error(post_raw(api, raw), 400, "invalid_json")["message"]


@pytest.mark.parametrize("path", ["/api-keys", "/contacts"])
def test_an_empty_header_error_mentions_ascii(api, path):
    """Granian passes a header with a non-ASCII character as an empty one."""
    answer = post_raw(api, b"{}", path=path, **{"Idempotency-Key": ""})
    assert "ASCII" in assert_error(answer, 400, "invalid_idempotency_key")["message"]
    answer = Client(headers={"Authorization": ""}).get(path)
    assert "ASCII" in assert_error(answer, 401, "missing_api_key")["message"]


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"name": "x",}',
        b'{"name": NaN}',
        b'{"name": 1e999}',
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b"\x00",
    ],
    ids=lambda raw: repr(raw[:20]),
)
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["", "with key"])
def test_invalid_json_is_400(api, raw, headers):
    assert_error(post_raw(api, raw, **headers), 400, "invalid_json")
    assert_error(post_raw(api, raw, path="/emails", **headers), 400, "invalid_json")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b'{"name": "a\\u0000b"}',
        b'{"name": {"a": 1}}',
        b'{"name": 123456789012345678901234567890}',
        b'{"name": "x", "domain_id": "nonsense"}',
        b'{"name": "x", "domain_id": 5}',
        b'{"\\u0000": 1}',
        b'{"name": "' + b"x" * 100_000 + b'"}',
        b"[" * 200 + b"]" * 200,
        b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}",
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_json_of_the_wrong_shape_is_422(api, raw):
    answer = post_raw(api, raw)
    name = "missing_required_field" if raw in (b"", b"[]") else "validation_error"
    assert assert_error(answer, 422, name)["details"]["fields"]


def test_a_body_too_deep_for_an_idempotency_key_is_400(api):
    raw = b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}"
    assert_error(post_raw(api, raw, **{"Idempotency-Key": "k"}), 400, "invalid_json")


def test_a_body_over_the_limit_is_413(api, settings):
    settings.API_MAX_BODY_BYTES = 100
    assert_error(post_raw(api, json.dumps({"name": "x" * 100}).encode()), 413, "payload_too_large")
    assert post_raw(api, b'{"name": "fits"}').status_code == 201


def test_missing_fields_have_their_own_error_name(api):
    body = assert_error(
        api.post("/emails", {"from": "a@example.com"}), 422, "missing_required_field"
    )
    assert set(body["details"]["fields"]) == {"to", "subject"}


def test_an_invalid_field_is_named_by_its_path(api):
    email = EMAIL | {"tags": [{"name": "a", "value": "b"}, {"name": "a b", "value": "c"}]}
    body = assert_error(api.post("/emails", email), 422, "validation_error")
    assert set(body["details"]["fields"]) == {"tags.1.name"}
    body = assert_error(
        api.post("/emails/batch", [EMAIL, EMAIL | {"to": 5}]), 422, "validation_error"
    )
    assert [field.split(".")[:2] for field in body["details"]["fields"]] == [["1", "to"]]


def test_too_many_requests_are_429_with_retry_after(api, settings):
    settings.API_RATE_LIMIT = settings.API_RATE_BURST = 1
    api.get("/emails")
    answer = api.get("/emails")
    assert_error(answer, 429, "rate_limit_exceeded")
    assert answer["retry-after"] == "1"


def test_an_unknown_host_is_rejected_with_json():
    assert_error(Client(headers={"Host": "evil.example"}).get("/docs"), 400, "bad_request")


def _break(request):
    raise RuntimeError("SELECT secret FROM vault")


class _Broken:
    urlpatterns = [path("broken", _break)]
    handler400 = "core.api.error_handlers.bad_request"
    handler404 = "core.api.error_handlers.not_found"
    handler500 = "core.api.error_handlers.server_error"


def test_a_bug_is_a_500_that_exposes_only_the_request_id(settings):
    settings.ROOT_URLCONF = _Broken
    client = Client(raise_request_exception=False, headers={"x-request-id": "quote-me"})
    answer = client.get("/broken")
    body = assert_error(answer, 500, "internal_server_error")
    assert "quote-me" in body["message"]
    assert b"SELECT" not in answer.content
    assert b"Traceback" not in answer.content


def test_a_bug_in_an_api_view_is_a_json_500(api, monkeypatch):
    def broken(*args, **more):
        raise RuntimeError("SELECT secret FROM vault")

    monkeypatch.setattr("accounts.services.create_api_key", broken)
    api.raise_request_exception = False
    answer = api.post("/api-keys", {"name": "x"})
    assert_error(answer, 500, "internal_server_error")
    assert b"vault" not in answer.content


def test_a_deletion_responds_with_json(api):
    key_id = api.post("/api-keys", {"name": "x"}).json()["id"]
    answer = api.delete(f"/api-keys/{key_id}")
    assert answer["content-type"] == "application/json"
    assert answer.json() == {"object": "api_key", "id": key_id, "deleted": True}
