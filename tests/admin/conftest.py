"""Admin clients and rows of every model."""

import pytest

from tests.clients import admin_client


@pytest.fixture
def clerk(db):
    """A staff user without permissions."""
    return admin_client("clerk", is_superuser=False)


@pytest.fixture
def fill(workspace):
    """Adds `count` rows of every model, each with its own workspace."""

    from accounts.services import create_workspace
    from tests.admin.sample_rows import create_one_of_each

    def fill(count):
        for number in range(count):
            create_one_of_each(create_workspace(name=f"Tenant {number}"))

    return fill


@pytest.fixture
def make_email(workspace):
    """An email whose sending is over, unless the fields say otherwise."""
    from tests.factories import create_email

    def make(workspace=workspace, **fields):
        return create_email(workspace, **{"status": "delivered", "next_attempt_at": None} | fields)

    return make
