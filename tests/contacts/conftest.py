import pytest


@pytest.fixture
def published(db):
    """`published("contact.created")`: the data of the events of this type, oldest first."""
    from events.models import Event

    def data_of(event_type):
        return [event.data() for event in Event.objects.filter(type=event_type).order_by("pk")]

    return data_of
