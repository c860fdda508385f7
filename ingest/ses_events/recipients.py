"""The recipients that an event names, and those of the email that it is about."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from core.addresses import identity, simulator_address
from ingest.ses_events.fields import parse_address


class Entry(NamedTuple):
    """One entry of a list of recipients; `address` is "" if it contains no address."""

    address: str = ""
    fields: Mapping[str, Any] = MappingProxyType({})


class Attribution(NamedTuple):
    """The affected recipients, each with its entry.

    If the recipient is unknown there is one with the address "", and `is_unknown` is true. `notes`
    say what was ignored or assumed.
    """

    affected: Sequence[tuple[str, Entry]]
    notes: Sequence[str] = ()
    is_unknown: bool = False


def read_entries(value: Any) -> list[Entry]:
    """Read a list of objects with an `emailAddress`, or of addresses. A single one is accepted."""
    if value is None:
        return []
    return [_entry(item) for item in (value if isinstance(value, list) else [value])]


def attribute(entries: Sequence[Entry], recipients: Sequence[str]) -> Attribution:
    """Find the affected ones among the recipients that the email was sent to.

    A remote server can report an address that the email was never sent to, because it was
    forwarded, and a report can be redacted. With a single recipient it is still clear who is
    affected.
    """
    # Mail to a test address goes to the mailbox simulator, which reports its own address.
    simulated = {identity(simulator_address(address)): address for address in recipients}
    known = simulated | {identity(address): address for address in recipients}
    named: dict[str, Entry] = {}
    others = []
    for entry in entries:
        if address := known.get(identity(entry.address)):
            named.setdefault(address, entry)
        else:
            others.append(entry)
    notes = [_note(entry) for entry in others]
    if not entries:
        notes.append("no recipient is named")
    if named:
        return Attribution(list(named.items()), notes)
    # The first of those that say most.
    entry = max(others, key=lambda each: (bool(each.address), bool(each.fields)), default=Entry())
    if len(recipients) == 1:
        notes.append("taken as the only recipient's")
        return Attribution([(recipients[0], entry)], notes)
    notes.append("the affected recipient is unknown")
    return Attribution([("", entry)], notes, is_unknown=True)


def _entry(item: Any) -> Entry:
    fields = {"emailAddress": item} if isinstance(item, str) else item
    if not isinstance(fields, dict):
        return Entry()
    return Entry(parse_address(fields.get("emailAddress")), fields)


def _note(entry: Entry) -> str:
    if entry.address:
        return "an address is not a recipient of the email"
    return "an entry has no email address"
