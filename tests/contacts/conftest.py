import pytest


@pytest.fixture
def told(db):
    """The data of the events of one type, in the order in which they were published."""
    from events.models import Event

    def find(kind):
        return [event.data() for event in Event.objects.filter(type=kind).order_by("pk")]

    return find
