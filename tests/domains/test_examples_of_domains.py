"""The documented examples of domain.* events match the real ones."""

import pytest

from tests.event_schemas import assert_like_example

pytestmark = pytest.mark.django_db


def test_examples_of_creating_verifying_and_deleting(api, twin):
    created = api.post("/domains", {"name": "shop.example"}).json()
    assert_like_example("domain.created")
    assert_like_example("domain.updated")
    api.delete(f"/domains/{created['id']}")
    assert_like_example("domain.deleted")
