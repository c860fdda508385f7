"""The representation of a domain, shared by the API and events."""

from typing import Any

from core.times import iso
from domains.models import DnsRecord, Domain
from events.payloads.domains import Capabilities, DomainOut, RecordOut, Switch


def snapshot(domain: Domain) -> dict[str, Any]:
    """Queries the domain's DNS records unless they are prefetched."""
    return DomainOut(
        object="domain",
        id=str(domain.pk),
        name=domain.name,
        status=domain.status,
        reason=domain.reason or None,
        region=domain.region,
        created_at=iso(domain.created_at),
        capabilities=Capabilities(
            sending=_switch(domain.sending), receiving=_switch(domain.receiving)
        ),
        open_tracking=domain.open_tracking,
        click_tracking=domain.click_tracking,
        provider=domain.provider or None,
        records=[_record(record) for record in domain.records.all()],
    ).model_dump()


def _switch(on: bool) -> Switch:
    return "enabled" if on else "disabled"


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
