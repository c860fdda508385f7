import pytest


@pytest.fixture
def published(db):
    """`published("contact.created")`: the data of the events of this type, oldest first."""
    from tests.database import published_data

    return published_data
