"""A slash too many, at the end of a path or of a client's base URL, changes nothing."""

from uuid import UUID

import pytest
from django.test import Client

from accounts.models import IdempotencyRecord
from contacts.models import Suppression
from emails.models import Email
from ingest.models import ProviderEvent
from tracking.tokens import Unsubscribe, sign_unsubscribe

pytestmark = pytest.mark.django_db
EMAIL = {"from": "a@example.com", "to": "b@example.net", "subject": "s", "text": "t"}


@pytest.fixture
def unsubscribe_path(workspace, domain, api):
    email_id = UUID(api.post("/emails", EMAIL).json()["id"])
    return f"/t/u/{sign_unsubscribe(Unsubscribe(workspace.pk, email_id, 'b@example.net'))}"


@pytest.mark.parametrize("path", ["/events/ses", "/api/webhooks/ses", "/api/events/ses"])
@pytest.mark.parametrize("slashes", ["/", "//"])
def test_sns_reaches_us(path, slashes):
    plain = Client().post(path, b"{}", content_type="text/plain")
    answer = Client().post(path + slashes, b"{}", content_type="text/plain")
    assert (answer.status_code, answer.json()) == (plain.status_code, plain.json())
    assert answer.status_code not in (404, 405)
    assert not ProviderEvent.objects.exists()


def test_one_click_unsubscribe_works(unsubscribe_path):
    form = "application/x-www-form-urlencoded"
    assert Client().get(unsubscribe_path + "/").status_code == 200
    answer = Client().post(unsubscribe_path + "/", "List-Unsubscribe=One-Click", content_type=form)
    assert answer.status_code == 200
    assert Suppression.objects.get().email == "b@example.net"


@pytest.mark.parametrize("path", ["/t/c/nonsense", "/t/o/nonsense.gif", "/blobs/nonsense"])
def test_links_reach_their_view(path):
    assert Client().get(path + "/").content == Client().get(path).content


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json"])
def test_pages_for_machines_and_people_answer(path):
    assert Client().get(path + "/").status_code == 200


def test_a_post_is_no_redirect_and_one_request_with_its_idempotency_key(api, domain):
    answers = [
        api.post(path, EMAIL, headers={"Idempotency-Key": "k"})
        for path in ("/emails", "/emails/", "/api/emails/")
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (Email.objects.count(), IdempotencyRecord.objects.count()) == (1, 1)


def test_every_method_and_path_of_the_api(api, domain):
    email_id = api.post("/emails/", EMAIL | {"scheduled_at": "in 1 hour"}).json()["id"]
    assert api.get("/emails/?limit=1").json()["data"][0]["id"] == email_id
    assert api.get(f"/emails/{email_id}/").json()["id"] == email_id
    assert api.patch(f"/emails/{email_id}/", {"scheduled_at": "in 2 hours"}).status_code == 200
    assert api.post(f"/emails/{email_id}/cancel/").status_code == 200
    assert api.post("/contacts/", {"email": "c@example.net"}).status_code == 201
    assert api.get("/contacts/c@example.net/").json()["email"] == "c@example.net"
    assert api.delete("/contacts/c@example.net/").status_code == 200
    assert api.put("/emails/", {}).status_code == 405
    assert api.get("/nothing/").status_code == 404


def test_a_base_url_that_ends_with_a_slash(api, domain):
    # The test client takes `//emails` for a host.
    assert api.post("/", EMAIL, PATH_INFO="//emails").status_code == 200
    assert api.get("/", PATH_INFO="//api//emails").status_code == 404
    assert Email.objects.count() == 1


@pytest.mark.parametrize("path", ["/metrics/", "//metrics", "//admin/", "//admin/login/"])
def test_what_a_proxy_may_hide_has_one_spelling(path):
    assert Client().get("/", PATH_INFO=path).status_code == 404


def test_the_admin_keeps_its_own_slashes():
    assert Client().get("/admin/login/").status_code == 200
    assert Client().get("/admin/").status_code == 302
    assert Client().get("/").status_code == 302
