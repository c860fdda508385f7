"""Facts with the example payloads of the catalogue, and a subscriber that records events."""

from datetime import UTC, datetime

from accounts.models import Workspace
from events.subscriptions import Subscriber
from tests.factories import example_fact, publish_committed

EVENT_ID = "whd_019e0f3a-4b10-7c3e-8a41-5b7d0c9e2f61"
AT = datetime(2026, 5, 10, 9, 30, 0, 250_999, UTC)


def fact(workspace, kind="contact.created", **changes):
    return example_fact(workspace, kind, changes)


def numbered(workspace, number):
    return fact(workspace, email=f"person{number}@example.com")


def number_of(event):
    return int(event.data()["email"].removeprefix("person").split("@")[0])


def published(workspace, count):
    return publish_committed([numbered(workspace, number) for number in range(count)])


class Recorder:
    """A subscriber that writes one row per event; it raises for the numbers in `broken`.

    `batches` has the numbers of each call, also of those that were rolled back.
    """

    def __init__(self, name, types=None):
        self.subscriber = Subscriber(name, self.handle, types)
        self.broken = frozenset()
        self.batches = []

    def handle(self, events):
        numbers = sorted(number_of(event) for event in events)
        self.batches.append(numbers)
        Workspace.objects.bulk_create(
            Workspace(name=f"{self.subscriber.name} {number}") for number in numbers
        )
        if self.broken.intersection(numbers):
            raise ValueError("no \x00 such thing")

    @property
    def recorded(self):
        """The numbers of the events whose rows were committed, once per row."""
        rows = Workspace.objects.filter(name__startswith=f"{self.subscriber.name} ")
        return sorted(int(name.split(" ")[1]) for name in rows.values_list("name", flat=True))
