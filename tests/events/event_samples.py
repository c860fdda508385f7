"""Facts with the example payloads of the catalogue."""

from datetime import UTC, datetime

from events.catalogue import CATALOGUE
from events.services import Fact

EVENT_ID = "whd_019e0f3a-4b10-7c3e-8a41-5b7d0c9e2f61"
AT = datetime(2026, 5, 10, 9, 30, 0, 250_999, UTC)


def fact(workspace, kind="contact.created", **changes):
    return Fact(kind, workspace.pk, CATALOGUE[kind].example_data() | changes)


def numbered(workspace, number):
    return fact(workspace, email=f"person{number}@example.com")


def number_of(event):
    return int(event.data()["email"].removeprefix("person").split("@")[0])
