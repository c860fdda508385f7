"""A domain as the API and its events show it: one shape for both."""

from typing import Any, Literal

from pydantic import BaseModel

from core.times import iso
from domains.models import DnsRecord, Domain


class RecordOut(BaseModel):
    record: str
    name: str
    type: str
    value: str
    ttl: str
    priority: int | None
    status: str


class Capabilities(BaseModel):
    sending: bool
    receiving: bool


class DomainOut(BaseModel):
    object: Literal["domain"] = "domain"
    id: str
    name: str
    status: str
    reason: str | None
    region: str
    created_at: str
    capabilities: Capabilities
    records: list[RecordOut]


def snapshot(domain: Domain) -> dict[str, Any]:
    """Asks for the domain's records unless they were prefetched."""
    return DomainOut(
        id=str(domain.pk),
        name=domain.name,
        status=domain.status,
        reason=domain.reason or None,
        region=domain.region,
        created_at=iso(domain.created_at),
        capabilities=Capabilities(sending=domain.sending, receiving=domain.receiving),
        records=[_record(record) for record in domain.records.all()],
    ).model_dump()


def _record(record: DnsRecord) -> RecordOut:
    return RecordOut(
        record=record.purpose,
        name=record.name,
        type=record.type,
        value=record.value,
        ttl=record.ttl,
        priority=record.priority,
        status=record.status,
    )
