"""Request bodies of `/contacts` and `/suppressions`."""

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from contacts import services
from contacts.addresses import ContactAddress, SuppressibleAddress
from contacts.models import Suppression
from core.api.aliases import AliasedBody
from core.api.bodies import RequestBody, Text
from core.api.fields import PHP_MAP, Id

# Larger integers are not exact in every JSON implementation (RFC 8259 section 6).
_MAX_EXACT_NUMBER = 2**53
_MAX_TEXT_LENGTH = 2000

_Batch = Field(min_length=1, max_length=100)


def _property_value(value: Any) -> Any:
    if isinstance(value, bool | None):
        return value
    if isinstance(value, str):
        if len(value) > _MAX_TEXT_LENGTH or "\x00" in value:
            raise ValueError(
                f"must have at most {_MAX_TEXT_LENGTH:,} characters and no U+0000 character"
            )
        return value
    if not isinstance(value, int | float):
        raise ValueError("must be a string, a number, true, false or null")
    if abs(value) > _MAX_EXACT_NUMBER:
        raise ValueError("must be a number from -2^53 to 2^53; send a larger one as a string")
    return value


PropertyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
PropertyValue = Annotated[
    Any,
    AfterValidator(_property_value),
    WithJsonSchema({"type": ["string", "number", "boolean", "null"]}),
]
Properties = Annotated[
    dict[PropertyName, PropertyValue], Field(max_length=services.MAX_PROPERTIES), PHP_MAP
]
Name = Annotated[Text, Field(max_length=200)]


def parse_origin(value: str) -> str:
    if value not in Suppression.Origin.values:
        raise ValueError(f"must be one of {', '.join(Suppression.Origin.values)}")
    return value


Origin = Annotated[
    str,
    AfterValidator(parse_origin),
    Field(
        validation_alias=AliasChoices("origin", "reason"),
        json_schema_extra={"enum": Suppression.Origin.values},
    ),
]


class CreateContact(RequestBody):
    """A contact who unsubscribed earlier stays unsubscribed, whatever `unsubscribed` says here."""

    email: ContactAddress
    first_name: Name | None = None
    last_name: Name | None = None
    unsubscribed: bool = False
    properties: Properties = {}


class UpdateContact(RequestBody):
    """Omitted fields and properties keep their values; a property set to null is removed.

    `id` is ignored: the path identifies the contact.
    """

    # Resend's Python client sends every parameter of its call, the id included.
    id: Text = Field(default="", max_length=100)
    email: ContactAddress = ""
    first_name: Name | None = None
    last_name: Name | None = None
    unsubscribed: bool = False
    properties: Properties = {}


class AddSuppression(AliasedBody):
    email: SuppressibleAddress
    origin: Origin = Suppression.Origin.MANUAL.value


class AddSuppressions(AliasedBody):
    emails: Annotated[list[SuppressibleAddress], _Batch]
    origin: Origin = Suppression.Origin.MANUAL.value


class RemoveSuppressions(RequestBody):
    """Either `emails` or `ids`."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["emails"]}, {"required": ["ids"]}]}
    )

    emails: Annotated[list[ContactAddress], _Batch] | None = None
    ids: Annotated[list[Id], _Batch] | None = None

    @model_validator(mode="after")
    def _has_emails_or_ids(self) -> Self:
        if (self.emails is None) == (self.ids is None):
            raise ValueError("must have either `emails` or `ids`")
        return self
