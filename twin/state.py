"""What survives a restart: identities, configuration sets, suppressed addresses, topics and
subscriptions.

Everything is kept per region: topics and subscriptions under their ARN, the rest under
`region/name`.
"""

import asyncio
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

_WRITE_DELAY_SECONDS = 0.2


@dataclass(slots=True, kw_only=True)
class Identity:
    """`settled` is False until the first look after creation decides the status."""

    name: str
    region: str
    status: str = "PENDING"
    settled: bool = False
    created_at: float = 0
    checked_at: float | None = None
    verified_at: float | None = None
    dkim_tokens: list[str] = field(default_factory=list)
    dkim_origin: str = "AWS_SES"
    dkim_key_length: str = "RSA_2048_BIT"
    mail_from_domain: str = ""
    mail_from_status: str = ""
    behavior_on_mx_failure: str = "USE_DEFAULT_VALUE"
    configuration_set: str | None = None
    tags: list[dict[str, str]] = field(default_factory=list)

    @property
    def is_domain(self) -> bool:
        return "@" not in self.name

    @property
    def verified(self) -> bool:
        return self.status == "SUCCESS"


@dataclass(slots=True, kw_only=True)
class EventDestination:
    name: str
    enabled: bool
    event_types: list[str]
    topic_arn: str


@dataclass(slots=True, kw_only=True)
class ConfigurationSet:
    name: str
    region: str
    options: dict[str, Any] = field(default_factory=dict)
    destinations: list[EventDestination] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class SuppressedDestination:
    """An address that the account sends to no more; `reason` is BOUNCE or COMPLAINT."""

    address: str
    region: str
    reason: str
    updated_at: float = 0


@dataclass(slots=True, kw_only=True)
class Topic:
    arn: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Subscription:
    """`status` is pending, confirmed or deleted; a deleted one can be confirmed again by token."""

    arn: str
    topic_arn: str
    protocol: str
    endpoint: str
    token: str
    token_created_at: float
    status: str = "pending"
    authenticate_on_unsubscribe: bool = False
    confirmation_was_authenticated: bool = False
    attributes: dict[str, str] = field(default_factory=dict)


class Store:
    """The state in memory, written to `<var_dir>/state.json` a moment after it changed."""

    def __init__(self, var_dir: Path) -> None:
        self._path = var_dir / "state.json"
        self._write_later: asyncio.TimerHandle | None = None
        self.identities: dict[str, Identity] = {}
        self.configuration_sets: dict[str, ConfigurationSet] = {}
        self.suppressed: dict[str, SuppressedDestination] = {}
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        if self._path.exists():
            self._load(orjson.loads(self._path.read_bytes()))

    def changed(self) -> None:
        """Note that something changed; changes that follow each other closely share one write."""
        if self._write_later is None:
            loop = asyncio.get_running_loop()
            self._write_later = loop.call_later(_WRITE_DELAY_SECONDS, self.write)

    def write(self) -> None:
        if self._write_later is not None:
            self._write_later.cancel()
            self._write_later = None
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(orjson.dumps(self._as_dict(), option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    def clear(self) -> None:
        for kept in (
            self.identities,
            self.configuration_sets,
            self.suppressed,
            self.topics,
            self.subscriptions,
        ):
            kept.clear()
        self.changed()

    def subscriptions_of(self, topic_arn: str) -> list[Subscription]:
        """Pending and confirmed ones, oldest first."""
        return [
            each
            for each in self.subscriptions.values()
            if each.topic_arn == topic_arn and each.status != "deleted"
        ]

    def _as_dict(self) -> dict[str, Any]:
        return {
            "identities": [asdict(each) for each in self.identities.values()],
            "configuration_sets": [asdict(each) for each in self.configuration_sets.values()],
            "suppressed": [asdict(each) for each in self.suppressed.values()],
            "topics": [asdict(each) for each in self.topics.values()],
            "subscriptions": [asdict(each) for each in self.subscriptions.values()],
        }

    def _load(self, saved: dict[str, Any]) -> None:
        for row in saved["identities"]:
            self.identities[regional(row["region"], row["name"])] = Identity(**row)
        for row in saved["configuration_sets"]:
            destinations = [EventDestination(**each) for each in row.pop("destinations")]
            key = regional(row["region"], row["name"])
            self.configuration_sets[key] = ConfigurationSet(**row, destinations=destinations)
        for row in saved.get("suppressed", []):  # older states have none
            key = regional(row["region"], row["address"])
            self.suppressed[key] = SuppressedDestination(**row)
        for row in saved["topics"]:
            self.topics[row["arn"]] = Topic(**row)
        for row in saved["subscriptions"]:
            self.subscriptions[row["arn"]] = Subscription(**row)


def regional(region: str, name: str) -> str:
    return f"{region}/{name}"
