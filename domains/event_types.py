"""domain.*: the payloads of events, which have the domain as the API shows it."""

from typing import Literal

from pydantic import BaseModel, Field

from core.times import iso
from domains.models import DnsRecord, Domain
from events.catalogue import EventType
from events.payloads import Id, Payload, Time

Switch = Literal["enabled", "disabled"]


class RecordOut(BaseModel):
    record: str = Field(description="What the record is for: `DKIM`.")
    name: str = Field(description="The name under which to publish the record.")
    type: str = Field(description="The DNS type, such as `CNAME`.")
    value: str = Field(description="The value to publish.")
    ttl: str = Field(description="The time to live, or `Auto`.")
    priority: int | None = Field(description="The priority of an MX record, else null.")
    status: str = Field(
        description="The status of the record; it has the values of a domain's `status`."
    )


class Capabilities(BaseModel):
    sending: Switch = Field(
        description="Whether mail can be sent from the domain: `enabled` or `disabled`."
    )
    receiving: Switch = Field(
        description="Whether mail to the domain is received: `enabled` or `disabled`."
    )


class DomainOut(BaseModel):
    object: Literal["domain"] = Field(description="Always `domain`.")
    id: Id = Field(description="The domain's id.")
    name: str = Field(description="The name, in lower case and A-labels.")
    status: str = Field(
        description="`not_started`, `pending`, `verified`, `temporary_failure` or `failed`."
    )
    reason: str | None = Field(
        description="The error of the last call to SES, or null if it succeeded."
    )
    region: str = Field(description="The AWS region that the domain sends from.")
    created_at: Time = Field(description="When the domain was added.")
    capabilities: Capabilities = Field(description="What the domain can be used for.")
    open_tracking: bool = Field(description="Whether opens of its mail are tracked.")
    click_tracking: bool = Field(description="Whether clicks on links in its mail are tracked.")
    provider: str | None = Field(
        description="The provider that sends its mail: `ses`, `smtp`, or null for the"
        " installation's default."
    )
    records: list[RecordOut] = Field(
        description="The DNS records to publish; empty until SES has created them."
    )


class DomainData(DomainOut, Payload):
    """A domain as it is now, or was when it was removed."""


class DomainUpdated(DomainData):
    previous_status: str = Field(
        description="The previous status; equal to `status` when only other fields changed."
    )
    changed_fields: list[str] = Field(description="The names of the fields that changed.")


def snapshot(domain: Domain) -> DomainOut:
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
    )


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


EVENT_TYPES = [
    EventType("domain.created", "domains", "A domain was added.", DomainData),
    EventType("domain.updated", "domains", "A domain's status or settings changed.", DomainUpdated),
    EventType("domain.deleted", "domains", "A domain was removed.", DomainData),
]
