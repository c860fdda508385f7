"""A second dialect: an app whose views answer in it, with other errors, pages and names."""

import pytest
from django.db import models
from django.test import Client, override_settings
from django.urls import include, path

from accounts.access import Access, Scope
from accounts.models import ApiKey
from accounts.operation import operation
from accounts.services import create_api_key
from accounts.views import ApiView, find
from core.api import dialects
from core.api.bodies import CamelCaseBody, CamelCaseModel
from core.api.dialects import MAILBOX, Page
from core.errors import Conflict
from opensend import urls

pytestmark = pytest.mark.django_db


class CreateMailbox(CamelCaseBody):
    display_name: str


class MailboxOut(CamelCaseModel):
    id: str
    display_name: str


class MailboxesView(ApiView):
    dialect = MAILBOX
    tag = "Mailboxes"

    @operation("List mailboxes", needs=Scope.API_KEYS_READ)
    def get(self, access: Access) -> Page[MailboxOut]:
        return self.page(ApiKey.objects.visible_to(access), represent)

    @operation("Create a mailbox", needs=Scope.API_KEYS_WRITE, status=201, idempotent=True)
    def post(self, access: Access, body: CreateMailbox) -> MailboxOut:
        if body.display_name == "taken":
            raise Conflict("This name is taken.")
        key, _ = create_api_key(workspace=access.workspace, name=body.display_name)
        return represent(key)


class MailboxView(ApiView):
    dialect = MAILBOX
    tag = "Mailboxes"

    @operation("Get a mailbox", needs=Scope.API_KEYS_READ)
    def get(self, access: Access, mailbox_id: str) -> MailboxOut:
        return represent(find(ApiKey.objects.visible_to(access), mailbox_id, "mailbox"))


def represent(key: models.Model) -> MailboxOut:
    return MailboxOut(id=str(key.pk), display_name=key.name)


urlpatterns = [
    path("v1/mailboxes", MailboxesView.as_view()),
    path("v1/mailboxes/<str:mailbox_id>", MailboxView.as_view()),
    path("", include(urls)),
]
handler404 = urls.handler404


@pytest.fixture(autouse=True)
def _responses_match_openapi():
    """Not these: their paths are in no document."""


@pytest.fixture(autouse=True)
def _mailbox_app(monkeypatch):
    monkeypatch.setattr(dialects, "_prefixes", lambda: [("/v1/", "mailbox")])
    with override_settings(ROOT_URLCONF=__name__):
        yield


def test_names_are_camel_case_in_requests_and_answers(api):
    answer = api.post("/v1/mailboxes", {"displayName": "Support"})
    assert answer.status_code == 201
    assert answer.json() == {"id": answer.json()["id"], "displayName": "Support"}
    assert api.get(f"/v1/mailboxes/{answer.json()['id']}").json()["displayName"] == "Support"


@pytest.mark.parametrize(
    ("send", "status", "error"),
    [
        (lambda api: api.post("/v1/mailboxes", {"displayName": "taken"}), 409, "conflict"),
        (lambda api: api.get("/v1/mailboxes/nothing"), 404, "not_found"),
        (lambda api: api.delete("/v1/mailboxes"), 405, "method_not_allowed"),
        (lambda api: api.get("/v1/nothing"), 404, "not_found"),
        (lambda api: api.get("/api/v1/nothing"), 404, "not_found"),
        (lambda api: Client().get("/v1/mailboxes"), 401, "missing_api_key"),
    ],
)
def test_errors_have_the_shape_of_the_dialect(api, send, status, error):
    answer = send(api)
    assert answer.status_code == status
    body = answer.json()
    assert body.keys() == {"error", "message"}
    assert body["error"] == error
    assert body["message"]


def test_a_wrong_field_is_named_as_the_request_names_it(api):
    body = api.post("/v1/mailboxes", {"displayName": 7}).json()
    assert body["error"] == "validation_error"
    assert body["details"] == {"fields": {"displayName": "must be a string"}}


def test_pages_are_asked_for_by_offset(api):
    for number in range(4):
        api.post("/v1/mailboxes", {"displayName": f"m{number}"})
    page = api.get("/v1/mailboxes?limit=2&offset=1").json()
    assert [each["displayName"] for each in page.pop("data")] == ["m2", "m1"]
    assert page == {"limit": 2, "offset": 1, "total": 5}  # with the key that asks
    for wrong in ("limit=0", "offset=-1", "offset=10001", "offset=x"):
        assert api.get(f"/v1/mailboxes?{wrong}").json()["error"] == "validation_error"


def test_a_repeated_request_gets_the_first_answer(api):
    for _ in range(2):
        answer = api.post(
            "/v1/mailboxes", {"displayName": "Once"}, headers={"Idempotency-Key": "k"}
        )
    assert answer["Idempotent-Replayed"] == "true"
    assert ApiKey.objects.filter(name="Once").count() == 1
    other = api.post("/v1/mailboxes", {"displayName": "Other"}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["error"]) == (409, "invalid_idempotent_request")


def test_paths_of_the_other_dialect_keep_theirs(api):
    assert api.get("/nothing").json()["statusCode"] == 404
    assert api.get("/api-keys").json()["object"] == "list"
