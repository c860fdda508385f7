"""Payloads of domain.*: the domain as the API returns it."""

from typing import Literal

from pydantic import BaseModel, Field

from events.payloads.base import Id, Payload, Time

Switch = Literal["enabled", "disabled"]


class RecordOut(BaseModel):
    record: str = Field(description="The purpose of the record: `DKIM`.")
    name: str = Field(description="The host name of the record.")
    type: str = Field(description="The DNS record type, such as `CNAME`.")
    value: str = Field(description="The value of the record.")
    ttl: str = Field(description="The time to live, or `Auto`.")
    priority: int | None = Field(description="The priority of an MX record, else null.")
    status: str = Field(
        description="The verification status of the record, with the same values as the domain's."
    )


class Capabilities(BaseModel):
    sending: Switch = Field(
        description="Whether the domain can send email: `enabled` or `disabled`."
    )
    receiving: Switch = Field(
        description="Whether the domain receives email: `enabled` or `disabled`."
    )


class DomainOut(BaseModel):
    object: Literal["domain"] = Field(description="Always `domain`.")
    id: Id = Field(description="The domain id.")
    name: str = Field(description="The domain name, in lower case and with A-labels (Punycode).")
    status: str = Field(
        description="`not_started`, `pending`, `verified`, `temporary_failure` or `failed`."
    )
    reason: str | None = Field(
        description="The error of the last step at the provider, or null if it succeeded."
    )
    region: str = Field(description="The provider region from which the domain sends.")
    created_at: Time = Field(description="When the domain was created.")
    capabilities: Capabilities = Field(description="What the domain can do.")
    open_tracking: bool = Field(description="Whether opens of its emails are tracked.")
    click_tracking: bool = Field(description="Whether clicks on links in its emails are tracked.")
    provider: str | None = Field(
        description="The sending provider: `ses`, `smtp`, or null for the installation's default."
    )
    records: list[RecordOut] = Field(
        description="The DNS records to publish; empty until the provider has created them."
    )


class DomainData(DomainOut, Payload):
    """The domain, or its last state if it was deleted."""


class DomainUpdated(DomainData):
    previous_status: str = Field(
        description="The status before the change; equal to `status` if that did not change."
    )
    changed_fields: list[str] = Field(description="The names of the fields that changed.")
