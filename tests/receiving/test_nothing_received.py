"""`GET /emails/receiving` before any mail comes in."""

import pytest

from accounts.services import create_api_key

pytestmark = pytest.mark.django_db

SOMETHING = "018f0000-0000-7000-8000-000000000000"


def test_no_mail_has_been_received(api, stranger):
    for client in (api, stranger):
        for query in ("", "?limit=5", f"?after={SOMETHING}"):
            answer = client.get(f"/emails/receiving{query}")
            assert answer.status_code == 200
            assert answer.json() == {"object": "list", "data": [], "has_more": False}


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("limit=abc", "limit"),
        ("limit=0", "limit"),
        ("after=nonsense", "after"),
        ("before=nonsense", "before"),
        (f"after={SOMETHING}&before={SOMETHING}", "before"),
    ],
)
def test_pages_that_make_no_sense_are_refused_all_the_same(api, query, wrong):
    answer = api.get(f"/emails/receiving?{query}")
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {wrong}


def test_received_mail_is_not_for_keys_that_only_send(workspace, client_for):
    token = create_api_key(workspace=workspace, name="s", permission="sending_access")[1]
    answer = client_for(token).get("/emails/receiving")
    assert (answer.status_code, answer.json()["name"]) == (403, "restricted_api_key")
