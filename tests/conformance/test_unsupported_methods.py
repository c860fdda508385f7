"""Methods of the client `resend` that this product does not support raise a clear 404."""

import inspect

import pytest
import resend

from tests.conformance.client_methods import ASYNC, public_methods, resend_functions

ANY_ID = "018f0000-0000-7000-8000-000000000000"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:Audiences is deprecated"),
]


class AnyParams(dict):
    """Parameters with a value for every name."""

    def get(self, name, default=None):
        return ANY_ID

    __missing__ = get


class InProcess(resend.HTTPClient):
    """Passes the client's requests to the API without a network."""

    def __init__(self, api):
        self._api = api

    def request(self, method, url, headers, json=None, files=None, data=None):
        answer = self._api.generic(method.upper(), url, b"{}", content_type="application/json")
        return answer.content, answer.status_code, dict(answer.headers)


@pytest.fixture
def client(api, monkeypatch):
    monkeypatch.setattr(resend, "api_url", "")
    monkeypatch.setattr(resend, "default_http_client", InProcess(api))
    return resend


def unsupported_methods():
    """The methods of every exported class, except those of the supported families."""
    classes = {name: getattr(resend, name) for name in resend.__all__ if name[0].isupper()}
    supported = set(resend_functions())
    for name, method in public_methods(classes):
        if (
            inspect.ismethod(method)
            and not name.endswith(ASYNC)
            and method.__func__ not in supported
        ):
            yield name, method


def call(method):
    required = [
        each.annotation
        for each in inspect.signature(method).parameters.values()
        if each.default is each.empty
    ]
    return method(*(ANY_ID if kind is str else AnyParams() for kind in required))


def test_unsupported_methods_raise_not_found(client):
    methods = dict(unsupported_methods())
    assert {name.partition(".")[0] for name in methods} >= {"Broadcasts", "Templates", "Topics"}
    for name, method in methods.items():
        with pytest.raises(client.exceptions.ResendError) as raised:
            call(method)
        got = (raised.value.code, raised.value.error_type)
        assert got == (404, "not_found"), name
        assert raised.value.message.startswith(("There is no", "There are no", "No mail")), name
