"""Paths that ask for no key and are no views of the API: what they refuse, they refuse alike."""

import pytest
from django.test import Client

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
    """A client to which forgeries from other sites matter, as to a real one."""
    return Client(enforce_csrf_checks=True)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", READ_ONLY)
def test_what_can_only_be_read_says_so_to_any_other_method(browser, path, method):
    answer = browser.generic(method, path)
    assert (answer.status_code, answer["allow"]) == (405, "GET, HEAD")
    assert answer["content-type"] == "application/json"
    assert answer.json()["name"] == "method_not_allowed"
    assert method in answer.json()["message"]


@pytest.mark.parametrize("path", READ_ONLY)
def test_what_can_be_read_answers_to_head(browser, path):
    assert browser.head(path).status_code == browser.get(path).status_code != 405


def test_one_click_unsubscribing_takes_a_post_and_nothing_like_it(browser):
    assert browser.post("/t/u/x").status_code == 404
    answer = browser.put("/t/u/x")
    assert (answer.status_code, answer["allow"]) == (405, "GET, HEAD, POST")
    assert answer["content-type"] == "application/json"


def test_the_admin_is_guarded_against_forgeries(browser):
    answer = browser.post("/admin/login/", {"username": "a", "password": "b"})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
def test_who_does_not_take_what_there_is_hears_so_in_json(path):
    answer = Client().get(path, headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert answer["content-type"] == "application/json"
    offered = {"/openapi.json": "application/json", "/docs": "text/html"}[path]
    assert offered in answer.json()["message"]


@pytest.mark.parametrize("path", ["/docs", "/healthz", "/readyz", "/emails"])
def test_a_host_that_is_not_ours_is_named_with_the_setting_that_decides(path):
    answer = Client(headers={"Host": "evil.example:81"}).get(path)
    assert (answer.status_code, answer["content-type"]) == (400, "application/json")
    assert "`evil.example:81`" in answer.json()["message"]
    assert "ALLOWED_HOSTS" in answer.json()["message"]
