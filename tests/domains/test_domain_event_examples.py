"""The examples of domain.* are what happens, to the letter."""

import pytest

from tests.event_schemas import assert_like_example

pytestmark = pytest.mark.django_db


def test_a_domain_comes_is_verified_and_goes(api, twin):
    made = api.post("/domains", {"name": "shop.example"}).json()
    assert_like_example("domain.created")
    assert_like_example("domain.updated")
    api.delete(f"/domains/{made['id']}")
    assert_like_example("domain.deleted")
