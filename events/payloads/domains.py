"""domain.*: the domain as the API shows it."""

from typing import Literal

from pydantic import BaseModel, Field

from events.payloads.base import Id, Payload, Time

Switch = Literal["enabled", "disabled"]


class RecordOut(BaseModel):
    record: str = Field(description="What the record is for: `DKIM`.")
    name: str = Field(description="The name under which it is to be published.")
    type: str = Field(description="The DNS type, such as `CNAME`.")
    value: str = Field(description="What is to be published.")
    ttl: str = Field(description="The time to live, or `Auto`.")
    priority: int | None = Field(description="The priority of an MX record, else null.")
    status: str = Field(description="Whether it was found; the values are a domain's.")


class Capabilities(BaseModel):
    sending: Switch = Field(
        description="Whether mail may leave from the domain: `enabled` or `disabled`."
    )
    receiving: Switch = Field(
        description="Whether mail to the domain is taken in: `enabled` or `disabled`."
    )


class DomainOut(BaseModel):
    object: Literal["domain"] = Field(description="Always `domain`.")
    id: Id = Field(description="The domain's id.")
    name: str = Field(description="The name, in lower case and A-labels.")
    status: str = Field(
        description="`not_started`, `pending`, `verified`, `temporary_failure` or `failed`."
    )
    reason: str | None = Field(
        description="What the last step at the provider ran into, or null when it went well."
    )
    region: str = Field(description="The provider's region that the domain sends from.")
    created_at: Time = Field(description="When the domain was added.")
    capabilities: Capabilities = Field(description="What the domain is for.")
    open_tracking: bool = Field(description="Whether opens of its mail are tracked.")
    click_tracking: bool = Field(description="Whether clicks on links in its mail are tracked.")
    provider: str | None = Field(
        description="Who takes its mail: `ses`, `smtp`, or null for the installation's own choice."
    )
    records: list[RecordOut] = Field(
        description="The DNS records to publish; empty until the provider has named them."
    )


class DomainData(DomainOut, Payload):
    """A domain as it is now, or was last."""


class DomainUpdated(DomainData):
    previous_status: str = Field(
        description="The status before; the same as now when it isn't what changed."
    )
    changed_fields: list[str] = Field(description="The names of the fields that changed.")
