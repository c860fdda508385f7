"""`GET /emails/receiving`, which is always empty as receiving is not supported yet."""

import pytest

from tests.clients import sending_client

pytestmark = pytest.mark.django_db

ANY_ID = "018f0000-0000-7000-8000-000000000000"


def test_the_list_is_empty(api, stranger):
    for client in (api, stranger):
        for query in ("", "?limit=5", f"?after={ANY_ID}"):
            response = client.get(f"/emails/receiving{query}")
            assert response.status_code == 200
            assert response.json() == {"object": "list", "data": [], "has_more": False}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=abc", "limit"),
        ("limit=0", "limit"),
        ("after=nonsense", "after"),
        ("before=nonsense", "before"),
        (f"after={ANY_ID}&before={ANY_ID}", "before"),
    ],
)
def test_invalid_pagination_parameters_are_rejected(api, query, field):
    response = api.get(f"/emails/receiving?{query}")
    assert response.status_code == 422
    assert set(response.json()["details"]["fields"]) == {field}


def test_sending_access_keys_cannot_list_received_emails(workspace):
    response = sending_client(workspace).get("/emails/receiving")
    assert (response.status_code, response.json()["name"]) == (403, "restricted_api_key")
