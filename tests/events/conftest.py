"""Subscribers that leave traces in the database."""

import pytest

# Django isn't set up yet when this file is read.


@pytest.fixture
def subscribe(monkeypatch):
    """`subscribe(Subscriber(...), ...)` replaces the subscribers of the installation."""
    from events import subscriptions

    def replace(*subscribers):
        monkeypatch.setattr(subscriptions, "subscribers", lambda: subscribers)

    return replace


@pytest.fixture
def make_due(db):
    """Make all unfinished events due, as if their leases and backoffs were over."""
    from django.db.models.functions import Now

    from events.models import Event

    def make():
        Event.objects.exclude(next_attempt_at=None).update(next_attempt_at=Now())

    return make


@pytest.fixture
def operator(db):
    """The HTTP client of an operator who is signed in to the admin."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    user = get_user_model().objects.create_superuser("op", password="a pass phrase")
    client = Client()
    client.force_login(user)
    return client
