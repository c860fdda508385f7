"""What the client `resend` has beyond this product: each method raises a 404 that says so."""

import inspect

import pytest
import resend

from tests.conformance.client_methods import ASYNC, public_methods, resend_functions

SOMETHING = "018f0000-0000-7000-8000-000000000000"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:Audiences is deprecated"),
]


class Whatever(dict):
    """Parameters that have whatever is asked for."""

    def get(self, name, default=None):
        return SOMETHING

    __missing__ = get


class Straight(resend.HTTPClient):
    """Takes the client's requests to the API without a network between them."""

    def __init__(self, api):
        self._api = api

    def request(self, method, url, headers, json=None, files=None, data=None):
        answer = self._api.generic(method.upper(), url, b"{}", content_type="application/json")
        return answer.content, answer.status_code, dict(answer.headers)


@pytest.fixture
def client(api, monkeypatch):
    monkeypatch.setattr(resend, "api_url", "")
    monkeypatch.setattr(resend, "default_http_client", Straight(api))
    return resend


def other_methods():
    """Those of every class that the client exports, but for the families that have cases."""
    classes = {name: getattr(resend, name) for name in resend.__all__ if name[0].isupper()}
    ours = set(resend_functions())
    for name, method in public_methods(classes):
        if inspect.ismethod(method) and not name.endswith(ASYNC) and method.__func__ not in ours:
            yield name, method


def called(method):
    needed = [
        each.annotation
        for each in inspect.signature(method).parameters.values()
        if each.default is each.empty
    ]
    return method(*(SOMETHING if kind is str else Whatever() for kind in needed))


def test_the_methods_of_other_families_raise_that_there_is_no_such_thing(client):
    methods = dict(other_methods())
    assert {name.partition(".")[0] for name in methods} >= {"Broadcasts", "Templates", "Topics"}
    for name, method in methods.items():
        with pytest.raises(client.exceptions.ResendError) as refused:
            called(method)
        got = (refused.value.code, refused.value.error_type)
        assert got == (404, "not_found"), name
        assert refused.value.message.startswith(("There is no", "There are no", "No mail")), name
