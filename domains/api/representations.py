"""The JSON of domains, which events share (domains.event_types)."""

from typing import Literal

from core.api.representations import Deleted
from domains.event_types import DomainOut, snapshot
from domains.models import Domain


class DomainDeleted(Deleted):
    object: Literal["domain"] = "domain"


def represent(domain: Domain) -> DomainOut:
    return snapshot(domain)
