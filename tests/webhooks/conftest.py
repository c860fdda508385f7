import threading
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from tests.webhooks.webhook_sink import Sink


@pytest.fixture
def sink():
    with Sink() as running:
        yield running


@pytest.fixture
def endpoint_at(workspace):
    """Create an endpoint of Alice's with this URL; it has a `signing_secret` attribute."""
    from webhooks.services import create_endpoint

    def make(url, event_types=("*",), of=workspace):
        endpoint, secret = create_endpoint(workspace=of, url=url, event_types=list(event_types))
        endpoint.signing_secret = secret
        return endpoint

    return make


@pytest.fixture
def publish_events(workspace):
    """Publish the catalogue's example of each type and run the subscribers; returns the events.

    Publishes `count` of each type; contacts get the addresses person0@example.com and so on.
    `changes` override their data.
    """
    from events.catalogue import CATALOGUE
    from events.dispatch import dispatch_due
    from events.services import Fact, publish

    def make(*types, count=1, of=workspace, **changes):
        facts = [
            Fact(kind, of.pk, CATALOGUE[kind].example_data() | numbered(kind, n) | changes)
            for kind in types or ["contact.created"]
            for n in range(count)
        ]
        with transaction.atomic():
            events = publish(facts)
        while dispatch_due().claimed:
            pass
        return events

    def numbered(kind, number):
        return {"email": f"person{number}@example.com"} if kind.startswith("contact.") else {}

    return make


@pytest.fixture
def make_due(db):
    """Make every unfinished delivery due now, including leased ones."""
    from webhooks.models import Delivery

    def make():
        Delivery.objects.exclude(next_attempt_at=None).update(next_attempt_at=Now())

    return make


@pytest.fixture
def dispatching():
    """Run `deliver_due` in its own thread during the block, and wait until it ends."""
    from webhooks.dispatch.loop import deliver_due

    @contextmanager
    def run():
        raised = []

        def work():
            try:
                deliver_due()
            except BaseException as error:
                raised.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield thread
        finally:
            thread.join(20)
        assert not thread.is_alive(), "the dispatcher does not end"
        if raised:
            raise raised[0]

    return run
