"""Plain Django views outside the API, without an API key, return the same JSON errors."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import Client

from opensend.api_reference import document

pytestmark = pytest.mark.django_db
READ_ONLY = [
    "/",
    "/admin",
    "/healthz",
    "/readyz",
    "/metrics",
    "/blobs/x",
    "/t/o/x.gif",
    "/t/c/x",
    "/openapi.json",
    "/docs",
]


@pytest.fixture
def browser():
    """A client with CSRF checks, like a real browser."""
    return Client(enforce_csrf_checks=True)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", READ_ONLY)
def test_read_only_paths_reject_other_methods(browser, path, method):
    answer = browser.generic(method, path)
    assert (answer.status_code, answer["allow"]) == (405, "GET, HEAD")
    assert answer["content-type"] == "application/json"
    assert answer.json()["name"] == "method_not_allowed"
    assert method in answer.json()["message"]


@pytest.mark.parametrize("path", READ_ONLY)
def test_read_only_paths_answer_head(browser, path):
    assert browser.head(path).status_code == browser.get(path).status_code != 405


def test_one_click_unsubscribe_accepts_post_but_not_put(browser):
    assert browser.post("/t/u/x").status_code == 404
    answer = browser.put("/t/u/x")
    assert (answer.status_code, answer["allow"]) == (405, "GET, HEAD, POST")
    assert answer["content-type"] == "application/json"


def test_the_admin_has_csrf_protection(browser):
    answer = browser.post("/admin/login/", {"username": "a", "password": "b"})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
def test_an_unacceptable_media_type_is_a_json_406(path):
    answer = Client().get(path, headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert answer["content-type"] == "application/json"
    offered = {"/openapi.json": "application/json", "/docs": "text/html"}[path]
    assert offered in answer.json()["message"]


def test_the_openapi_document_is_generated_once_for_everybody(monkeypatch):
    generated = []

    class Generator(document.SchemaGenerator):
        def get_schema(self, *args, **options):
            generated.append(1)
            return super().get_schema(*args, **options)

    monkeypatch.setattr(document, "SchemaGenerator", Generator)
    document._document.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(Client().get, ["/openapi.json", "/openapi.json?lang=de"] * 4))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.content for answer in answers}) == len(generated) == 1
    assert answers[0]["content-type"] == "application/vnd.oai.openapi+json"


@pytest.mark.parametrize("path", ["/docs", "/admin/login/", "/emails"])
def test_an_unknown_host_error_names_the_host_and_the_setting(path):
    answer = Client(headers={"Host": "evil.example:81"}).get(path)
    assert (answer.status_code, answer["content-type"]) == (400, "application/json")
    assert "`evil.example:81`" in answer.json()["message"]
    assert "ALLOWED_HOSTS" in answer.json()["message"]
