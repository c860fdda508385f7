import pytest

from tests.webhooks.webhook_sink import Sink


@pytest.fixture
def sink():
    with Sink() as running:
        yield running


@pytest.fixture
def endpoint_at(workspace):
    """Create an endpoint of Alice's with this URL; it has a `signing_secret` attribute."""
    from tests.factories import endpoint_at

    def make(url, event_types=("*",), of=workspace):
        return endpoint_at(url, of, event_types=event_types)

    return make


@pytest.fixture
def publish_events(workspace):
    """Publish the catalogue's example of each type and run the subscribers; returns the events.

    Publishes `count` of each type; contacts get the addresses person0@example.com and so on.
    `changes` override their data.
    """
    from tests.factories import dispatch_all, example_fact, publish_committed

    def make(*types, count=1, of=workspace, **changes):
        facts = [
            example_fact(of, kind, numbered(kind, n) | changes)
            for kind in types or ["contact.created"]
            for n in range(count)
        ]
        events = publish_committed(facts)
        dispatch_all()
        return events

    def numbered(kind, number):
        return {"email": f"person{number}@example.com"} if kind.startswith("contact.") else {}

    return make


@pytest.fixture
def make_due(db):
    """Make every unfinished delivery due now, including leased ones."""
    from tests.database import make_due
    from webhooks.models import Delivery

    return lambda: make_due(Delivery)


@pytest.fixture
def dispatching():
    """Run `deliver_due` in its own thread during the block, and wait until it ends."""
    from tests.database import concurrently
    from webhooks.dispatch.loop import deliver_due

    return lambda: concurrently(deliver_due)
