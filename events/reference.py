"""Renders the catalogue as a reference page: `docs/events.md`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from events.catalogue import CATALOGUE, GROUP_TITLES, EventType
from events.envelopes import Envelope
from events.payloads import Payload, schema_of

_LARGE = 5  # types: below that, each type of a group lists all its fields
_INTRODUCTION = """\
# Events

Every event type that webhooks send, with its fields and an example. [webhooks.md](webhooks.md)
explains how to create an endpoint, verify requests and respond to them. `make docs` generates this
page from the catalogue in the code; `GET /webhooks/event-types` returns the same catalogue with a
JSON Schema for each type.

An endpoint subscribes to types, to groups such as `email.*`, or to `*`.

## Envelopes

Most events have the standard envelope, with the payload under `data`:

```json
{"id": "whd_<uuid>", "type": "contact.created", "created_at": "2026-05-10T09:30:00.000Z",
 "data": {...}}
```

Mailbox events (`message.received`, `inbox.*`, `pod.*`) have the mailbox envelope, with the payload
beside the envelope's own fields:

```json
{"event": "message.received", "event_id": "whd_<uuid>", "occurred_at": "2026-05-10T09:30:00.000Z",
 ...}
```

- **Duplicates.** An event can arrive more than once. Its `id` (or `event_id`) and time are the same
  in every attempt, at every endpoint and in replays: store the ids that you have processed and skip
  duplicates. The header `webhook-id` has the same id.
- **Order.** Events can arrive in any order. Each payload is a complete snapshot, taken at the time
  of the event.
- **Times** are UTC with milliseconds. Times inside the provider's objects (`delivery`, `open`, ...)
  keep the provider's format.
- **New fields.** We and the provider add fields over time. Ignore unknown fields; the JSON Schemas
  allow them. The fields on this page will not be removed.
- **Size.** A body has at most 256 KiB. In a larger one, long strings and lists are truncated, and
  the payload has `truncated: true` (`data.truncated` in the standard envelope): fetch the full
  resource by its id. In extreme cases nested values are emptied and may not match the schema.

Fields marked *optional* may be absent. A field is null only if its type says so.
"""


def page() -> str:
    parts = [_INTRODUCTION, _contents()]
    for group, kinds in _by_group():
        parts.append(f"## {GROUP_TITLES.get(group, group)}\n\n`{group}`\n")
        shared = _shared_payload(kinds)
        if shared:
            parts.append(_shared_fields(group, shared))
        parts += [_type_section(kind, shared) for kind in kinds]
    return "\n".join(parts)


def _by_group() -> Iterator[tuple[str, list[EventType]]]:
    for group, kinds in groupby(CATALOGUE.values(), key=lambda kind: kind.group):
        yield group, list(kinds)


def _contents() -> str:
    rows = ["| group | type | description |", "|---|---|---|"]
    for group, kinds in _by_group():
        rows += [
            f"| `{group}` | [`{kind.name}`](#{kind.name.replace('.', '')}) | {kind.meaning} |"
            for kind in kinds
        ]
    return "\n".join(rows) + "\n"


def _shared_payload(kinds: Sequence[EventType]) -> type[Payload] | None:
    """The model that most payloads of a large group extend, whose fields are listed once."""
    if len(kinds) < _LARGE:
        return None
    bases: Counter[type[Payload]] = Counter(
        base
        for kind in kinds
        for base in kind.payload.__mro__
        if issubclass(base, Payload) and base is not Payload
    )
    [(payload, count)] = bases.most_common(1)
    return payload if count > len(kinds) / 2 else None


def _shared_fields(group: str, payload: type[Payload]) -> str:
    noun = group.removesuffix(".*")
    return "\n".join([f"Most {noun} events share these fields:", "", _table(_fields(payload))])


def _type_section(kind: EventType, shared: type[Payload] | None) -> str:
    fields = _fields(kind.payload)
    note = ""
    if shared and issubclass(kind.payload, shared):
        common = set(_fields(shared))
        fields = [row for row in fields if row not in common]
        note = " Has the shared fields" + (" and:" if fields else ".")
    mailbox = " Uses the mailbox envelope." if kind.envelope is Envelope.MAILBOX else ""
    lines = [
        f"### {kind.name}",
        "",
        f"{kind.meaning} Emitted by `{kind.emitted_by}`.{mailbox}{note}",
        "",
        *([_table(fields)] if fields else []),
        "```json",
        kind.example_text.rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


Row = tuple[str, str, str]


def _table(rows: Iterable[Row]) -> str:
    lines = [f"| `{name}` | {type_} | {meaning} |" for name, type_, meaning in rows]
    return "\n".join(["| field | type | description |", "|---|---|---|", *lines, ""])


def _fields(payload: type[Payload]) -> list[Row]:
    """Rows of (name, type, description). The fields of an object follow the object."""
    schema = schema_of(payload, description="")
    rows = _rows(schema, schema.get("$defs", {}), "")
    return [row for row in rows if row[0] != "truncated"]


def _rows(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> Iterator[Row]:
    required = schema.get("required", [])
    for name, reference in schema["properties"].items():
        field = _resolved(reference, definitions)
        path = prefix + name
        optional = "" if name in required else ", optional"
        yield path, _type(field, definitions) + optional, reference["description"]
        items = _resolved(field.get("items", {}), definitions)
        if "properties" in field:
            yield from _rows(field, definitions, f"{path}.")
        elif "properties" in items:
            yield from _rows(items, definitions, f"{path}[].")


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    field = _resolved(field, definitions)
    if "anyOf" in field:
        return " or ".join(_type(each, definitions) for each in field["anyOf"])
    if field["type"] == "array":
        return f"list of {_plural(_type(field['items'], definitions))}"
    if field["type"] == "object" and "properties" not in field:
        values = field.get("additionalProperties")
        of = f" of {_plural(_type(values, definitions))}" if isinstance(values, dict) else ""
        return f"object{of}"
    return str({"uuid": "id", "date-time": "time"}.get(field.get("format", ""), field["type"]))


def _plural(noun: str) -> str:
    return noun if noun.endswith("s") else f"{noun}s"


def _resolved(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Resolve a `$ref`; other fields are returned as they are."""
    if "$ref" not in field:
        return field
    definition: dict[str, Any] = definitions[field["$ref"].rpartition("/")[2]]
    return definition
