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
    from events.models import Event
    from tests.database import make_due

    return lambda: make_due(Event)
