"""Every operation on webhooks needs a scope."""

import re

import pytest

from accounts.access import Access, Scope
from accounts.services import create_workspace
from tests.clients import sending_client
from webhooks.api.endpoints import visible
from webhooks.models import Endpoint
from webhooks.services import delete_endpoint
from webhooks.urls import urlpatterns

pytestmark = pytest.mark.django_db

OPERATIONS = [
    (method, str(pattern.pattern), getattr(pattern.callback.view_class, method).operation)
    for pattern in urlpatterns
    for method in ("get", "post", "patch", "delete")
    if hasattr(pattern.callback.view_class, method)
]
by_operation = pytest.mark.parametrize(
    ("method", "route", "operation"),
    OPERATIONS,
    ids=[f"{each[0]} {each[1]}" for each in OPERATIONS],
)


@by_operation
def test_reading_and_writing_are_separate_scopes(method, route, operation):
    assert operation.needs == (Scope.WEBHOOKS_READ if method == "get" else Scope.WEBHOOKS_WRITE)


@by_operation
def test_a_sending_key_is_refused(workspace, endpoint_at, method, route, operation):
    endpoint = endpoint_at("https://hooks.example.com/")
    path = "/" + re.sub("<str:[a-z_]+>", str(endpoint.pk), route)
    answer = getattr(sending_client(workspace), method)(path)
    assert (answer.status_code, answer.json()["name"]) == (403, "restricted_api_key")
    assert Endpoint.objects.get().status == "enabled"


def test_only_endpoints_of_the_workspace_that_are_not_deleted_are_visible(workspace, endpoint_at):
    mine, deleted = endpoint_at("https://a.example.com/"), endpoint_at("https://b.example.com/")
    endpoint_at("https://c.example.com/", of=create_workspace(name="Bob's"))
    delete_endpoint(deleted)
    assert list(visible(Access.of_system(workspace))) == [mine]
