"""The catalogue of event types: what each means, which app emits it, its payload and an example.

Each app lists its own types in its hooks (`EVENT_TYPES`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import orjson
from django.core.exceptions import ImproperlyConfigured

from core import hooks
from events.envelopes import Envelope, data_of, model_of
from events.payloads import Payload, schema_of

EXAMPLES = Path(__file__).parent / "examples"
# In the order of the API and of the reference page; groups that are not listed come last.
GROUP_TITLES = {
    "email.*": "Emails",
    "contact.*": "Contacts",
    "domain.*": "Domains",
    "suppression.*": "Suppressions",
    "message.*": "Mailbox messages",
    "inbox.*": "Inboxes",
    "pod.*": "Pods",
    "webhook.*": "Webhooks",
}


@dataclass(frozen=True)
class EventType:
    name: str
    emitted_by: str
    meaning: str
    payload: type[Payload]
    envelope: Envelope = Envelope.STANDARD

    @property
    def group(self) -> str:
        """The pattern that matches this type and its siblings: `email.*`."""
        return self.name.split(".")[0] + ".*"

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the whole body, as we publish it: additional fields are allowed."""
        return schema_of(self._model, description=self.meaning)

    @cached_property
    def closed_schema(self) -> dict[str, Any]:
        """The same schema without additional fields, for tests."""
        return schema_of(self._model, description=self.meaning, closed=True)

    @property
    def example_text(self) -> str:
        return (EXAMPLES / f"{self.name}.json").read_text()

    @cached_property
    def example(self) -> dict[str, Any]:
        """An example of the whole body."""
        body: dict[str, Any] = orjson.loads(self.example_text)
        return body

    def example_data(self) -> dict[str, Any]:
        """A new copy of the example's payload, which the caller may change."""
        return data_of(self.example_text)

    @property
    def _model(self) -> Any:
        return model_of(self.envelope, self.name, self.payload)


class _Catalogue(Mapping[str, EventType]):
    """Collected when it is first read, because this module is imported before all apps are."""

    def __getitem__(self, name: str) -> EventType:
        return _types()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_types())

    def __len__(self) -> int:
        return len(_types())


CATALOGUE: Mapping[str, EventType] = _Catalogue()


@cache
def groups() -> frozenset[str]:
    """Every pattern that matches several types."""
    return frozenset({"*"} | {kind.group for kind in CATALOGUE.values()})


def is_subscribable(pattern: str) -> bool:
    """Whether an endpoint can subscribe to this: a type, a group such as `email.*`, or `*`."""
    return pattern in CATALOGUE or pattern in groups()


def matches(patterns: "set[str] | list[str]", type_name: str) -> bool:
    return type_name in patterns or "*" in patterns or type_name.split(".")[0] + ".*" in patterns


@cache
def _types() -> dict[str, EventType]:
    """By name, in the order of the groups; within a group in the order of the apps' lists."""
    ranks = {group: rank for rank, group in enumerate(GROUP_TITLES)}
    types: dict[str, EventType] = {}
    offered: list[EventType] = hooks.collect("EVENT_TYPES")
    for kind in sorted(offered, key=lambda kind: ranks.get(kind.group, len(ranks))):
        if kind.name in types:
            raise ImproperlyConfigured(f"Two apps list the event type {kind.name}")
        types[kind.name] = kind
    return types
