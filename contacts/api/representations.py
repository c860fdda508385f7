"""The JSON of contacts and suppressions."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from contacts import suppression_csv
from contacts.event_types import (
    ContactOut,
    SuppressionOut,
    contact_snapshot,
    suppression_snapshot,
)
from contacts.models import Contact, Suppression
from contacts.services import Property
from contacts.ses_removals import find_being_removed
from core.api.representations import Deleted


class PropertyOut(BaseModel):
    value: str | bool | int | float
    type: Literal["string", "number", "boolean"]


class ContactDetail(ContactOut):
    object: Literal["contact"] = "contact"
    properties: dict[str, PropertyOut]


class ContactDeleted(BaseModel):
    """`contact` repeats the id, because Resend's clients read it there."""

    object: Literal["contact"] = "contact"
    id: str
    contact: str
    deleted: Literal[True] = True


class SuppressionDetail(SuppressionOut):
    """`event_id` is the event that reported the cause, or null."""

    object: Literal["suppression"] = "suppression"
    event_id: str | None


class SuppressionRemoved(Deleted):
    object: Literal["suppression"] = "suppression"
    ses_list: Literal["removing"] | None = Field(
        description="`removing` when SES may hold the address on its own suppression list, too:"
        " OpenSend takes it off there in the background, and tries again until SES does so."
    )


class SuppressionsAdded(BaseModel):
    """One suppression per address, in no particular order."""

    object: Literal["list"] = "list"
    data: list[SuppressionDetail]


class SuppressionsRemoved(BaseModel):
    """The suppressions that existed and were removed, in no particular order."""

    object: Literal["list"] = "list"
    data: list[SuppressionRemoved]


class BadLineOut(BaseModel):
    line: int
    message: str


class SuppressionImport(BaseModel):
    """`lines` counts all rows with an address, valid or not. `errors` lists the first 100 invalid
    ones. `unknown_reasons` rows had a reason that is not known: they were imported as `manual`."""

    object: Literal["suppression_import"] = "suppression_import"
    lines: int
    added: int
    already_suppressed: int
    invalid: int
    unknown_reasons: int
    errors: list[BadLineOut]


def represent_contact(contact: Contact) -> ContactDetail:
    return ContactDetail(
        **contact_snapshot(contact).model_dump(),
        properties={name: _typed(value) for name, value in contact.properties.items()},
    )


def represent_suppression(suppression: Suppression) -> SuppressionDetail:
    return SuppressionDetail(
        **suppression_snapshot(suppression).model_dump(),
        event_id=str(suppression.event_id) if suppression.event_id else None,
    )


def represent_removed(rows: Sequence[Suppression]) -> list[SuppressionRemoved]:
    at_ses = find_being_removed(rows)
    return [
        SuppressionRemoved(id=str(row.pk), ses_list="removing" if row.pk in at_ses else None)
        for row in rows
    ]


def represent_import(report: suppression_csv.ImportReport) -> SuppressionImport:
    return SuppressionImport(
        lines=report.lines,
        added=report.added,
        already_suppressed=report.already_suppressed,
        invalid=report.invalid,
        unknown_reasons=report.unknown_reasons,
        errors=[BadLineOut(line=error.line, message=error.message) for error in report.errors],
    )


def _typed(value: Property) -> PropertyOut:
    if isinstance(value, bool):
        return PropertyOut(value=value, type="boolean")
    return PropertyOut(value=value, type="string" if isinstance(value, str) else "number")
