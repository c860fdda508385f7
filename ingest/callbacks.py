"""Claimed callbacks, and the part of their processing that differs between sources."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar
from uuid import UUID

from emails.facts.record import EmailFact
from ingest.models import ProviderEvent

T = TypeVar("T")


class Unparsable(Exception):
    """The callback is quarantined; the message says why."""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """A claimed callback and the event that it reports."""

    row: ProviderEvent
    event: T


@dataclass(frozen=True, slots=True)
class Result:
    """The state of a processed callback, and what it reports about its email.

    With `retry_in` it becomes due again. A quarantined callback may have facts as well.
    """

    state: ProviderEvent.State
    reason: str = ""
    type: str = ""
    email_id: UUID | None = None
    retry_in: timedelta | None = None
    facts: Sequence[EmailFact] = ()
    unsubscribed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Processor(Generic[T]):
    """How callbacks of one source are processed.

    `parse` runs outside any transaction; it raises Unparsable. `match` decides the result of each
    callback, by its primary key, and `record` writes what the events report. Both run in the
    transaction that settles the batch, with the settlement between them: `record` only gets
    callbacks whose lease still holds. `batch` limits a claim, INGEST_BATCH by default.
    """

    parse: Callable[[ProviderEvent], T]
    match: Callable[[Sequence[Parsed[T]]], Mapping[UUID, Result]]
    record: Callable[[Sequence[tuple[Parsed[T], Result]]], None]
    batch: int | None = None
