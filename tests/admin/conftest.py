"""Admin clients and rows of every model."""

import pytest


@pytest.fixture
def operator(db):
    from django.contrib.auth import get_user_model
    from django.test import Client

    user = get_user_model().objects.create_superuser("op", password="a pass phrase")
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def clerk(db):
    """A staff user without permissions."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    user = get_user_model().objects.create_user("clerk", password="a pass phrase", is_staff=True)
    client = Client()
    client.force_login(user)
    return client


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
    from core.db.ids import uuid7
    from emails.models import Email

    def make(**fields):
        fields = {"status": "delivered", "next_attempt_at": None, "text": "Hi"} | fields
        return Email.objects.create(
            workspace=fields.pop("workspace", workspace),
            sender="Ada <ada@example.com>",
            to=fields.pop("to", ["bob@example.org"]),
            subject=fields.pop("subject", "Hello"),
            region="us-east-1",
            message_id=f"<{uuid7()}@example.com>",
            **fields,
        )

    return make
